"""Layers with state of their own, and the product of two tensors, on the DSP extension as C."""

from __future__ import annotations

import numpy as np

from optimize.compiler.emit.operators.common import Code, Emitter, Fields, Operands, scratch_call_text, struct_text
from optimize.compiler.emit.operators.dsp_gemm import gemm_text
from optimize.compiler.emit.operators.recurrent import batch_matmul_fields, sequence_fields
from optimize.compiler.emit.text import number_array
from optimize.compiler.kernels_dsp import Product
from optimize.compiler.kernels_dsp_recurrent import DspBatchMatMulCall, DspLstmCall, DspSvdfCall
from optimize.compiler.kernels_recurrent import Factor

PRODUCTS: dict[Product, str] = {"s16": "flota_nn_dsp_gemm_4x1_s16", "wide": "flota_nn_dsp_gemm_wide_s16"}


def _lstm(name: str, call: DspLstmCall, operands: Operands) -> Code:
    seen, input_gemm = gemm_text(f"{name}_input", call.input)
    recalled, recurrent_gemm = gemm_text(f"{name}_recurrent", call.recurrent)
    layer = call.portable
    fields: Fields = {
        **sequence_fields(layer),
        "hidden_zero": -layer.hidden_offset,
        "multiply_input": PRODUCTS[call.input.product],
        "multiply_recurrent": PRODUCTS[call.recurrent.product],
        "input": input_gemm,
        "recurrent": recurrent_gemm,
        "forget": _product(layer.forget),
        "update": _product(layer.update),
        "output": _product(layer.output),
        "cell_multiplier": layer.cell_argument[0],
        "cell_shift": layer.cell_argument[1],
        "cell_min": layer.cell_bounds[0],
        "cell_max": layer.cell_bounds[1],
    }
    parameters = struct_text("flota_nn_dsp_lstm_t", name, fields)
    return Code((*seen, *recalled, parameters), (_call("flota_nn_dsp_lstm_s8_s16", name, operands),))


def _product(factor: Factor) -> str:
    return f"{{.multiplier = {factor[0]}, .shift = {-factor[1]}}}"


def _svdf(name: str, call: DspSvdfCall, operands: Operands) -> Code:
    layer = call.portable
    wide = layer.state_type == "int16"
    time_weights = np.frombuffer(layer.time_weights, "<i2" if wide else np.int8).tolist()
    arrays, gemm = gemm_text(f"{name}_features", call.features)
    arrays += (
        number_array(f"{layer.state_type}_t", f"{name}_time_weights", time_weights),
        number_array("int32_t", f"{name}_bias", call.biases),
    )
    fields: Fields = {
        "batches": layer.batches,
        "in_features": layer.in_features,
        "units": layer.filters // layer.rank,
        "rank": layer.rank,
        "memory": layer.memory,
        "state_zero": layer.state_zero_point,
        "multiply": PRODUCTS[call.features.product],
        "features": gemm,
        "time_weights": f"{name}_time_weights",
        "bias": f"{name}_bias",
        "multiplier": layer.factor[0],
        "shift": layer.factor[1],
        "small_sums": int(call.small_sums),
        "output_zero": layer.output_offset,
    }
    function = "flota_nn_dsp_svdf_s8_s16" if wide else "flota_nn_dsp_svdf_s8_s8"
    parameters = struct_text("flota_nn_dsp_svdf_t", name, fields)
    return Code((*arrays, parameters), (_call(function, name, operands),))


def _batch_matmul(name: str, call: DspBatchMatMulCall, operands: Operands) -> Code:
    members = ", ".join(f".{field} = {value}" for field, value in batch_matmul_fields(call.portable).items())
    fields: Fields = {"matmul": f"{{{members}}}", "small_sums": int(call.small_sums)}
    struct = struct_text("flota_nn_dsp_batch_matmul_t", name, fields)
    return Code((struct,), scratch_call_text("flota_nn_dsp_batch_matmul_s8", name, operands))


def _call(function: str, name: str, operands: Operands) -> str:
    """The states, outputs 1 and 2, come before the output."""
    places = (*operands.inputs[:1], *operands.outputs[1:], operands.outputs[0], operands.scratch)
    return f"{function}(&{name}_parameters, {', '.join(places)});"


EMITTERS: dict[type, Emitter] = {DspLstmCall: _lstm, DspSvdfCall: _svdf, DspBatchMatMulCall: _batch_matmul}
