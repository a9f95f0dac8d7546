"""C of SVDF, LSTM and the product of two matrices."""

from __future__ import annotations

import numpy as np

from optimize.compiler.emit.operators.common import Code, Emitter, Fields, Operands, call_text, struct_text
from optimize.compiler.emit.text import braces, byte_array, number_array
from optimize.compiler.kernels_recurrent import BatchMatMulCall, Factor, LstmCall, LstmGate, SvdfCall


def _svdf(name: str, call: SvdfCall, operands: Operands) -> Code:
    wide = call.state_type == "int16"
    time_weights = np.frombuffer(call.time_weights, "<i2" if wide else np.int8).tolist()
    arrays = [
        byte_array(f"{name}_feature_weights", call.feature_weights),
        number_array(f"{call.state_type}_t", f"{name}_time_weights", time_weights),
    ]
    if call.bias is not None:
        arrays.append(number_array("int32_t", f"{name}_bias", call.bias))
    fields: Fields = {
        "batches": call.batches,
        "in_features": call.in_features,
        "filters": call.filters,
        "rank": call.rank,
        "memory": call.memory,
        "input_offset": call.input_offset,
        "feature_multiplier": call.feature_factor[0],
        "feature_shift": call.feature_factor[1],
        "state_zero_point": call.state_zero_point,
        "multiplier": call.factor[0],
        "shift": call.factor[1],
        "output_offset": call.output_offset,
        "feature_weights": f"{name}_feature_weights",
        "time_weights": f"{name}_time_weights",
        "bias": "NULL" if call.bias is None else f"{name}_bias",
    }
    arguments = f"&{name}_parameters, {operands.inputs[0]}, {operands.outputs[1]}, {operands.outputs[0]}"
    function = "flota_nn_svdf_s8_s16" if wide else "flota_nn_svdf_s8_s8"
    return Code((*arrays, struct_text("flota_nn_svdf_t", name, fields)), (f"{function}({arguments});",))


def sequence_fields(call: LstmCall) -> Fields:
    """Members of a kernel that steps through sequences."""
    return {
        "batches": call.batches,
        "steps": call.steps,
        "in_features": call.in_features,
        "units": call.units,
        "batch_rows": call.rows[0],
        "step_rows": call.rows[1],
    }


def _lstm(name: str, call: LstmCall, operands: Operands) -> Code:
    arrays: list[str] = []
    fields: Fields = {
        **sequence_fields(call),
        "input_offset": call.input_offset,
        "hidden_offset": call.hidden_offset,
    }
    for gate, kind in zip(call.gates, ("input", "forget", "cell", "output"), strict=True):
        arrays += _gate_arrays(f"{name}_{kind}", gate)
        fields[f"{kind}_gate"] = _gate(f"{name}_{kind}", gate)
    fields |= {
        "forget": _factor(call.forget),
        "update": _factor(call.update),
        "output": _factor(call.output),
        "cell_multiplier": call.cell_argument[0],
        "cell_shift": call.cell_argument[1],
        "cell_min": call.cell_bounds[0],
        "cell_max": call.cell_bounds[1],
    }
    targets = f"{operands.outputs[1]}, {operands.outputs[2]}, {operands.outputs[0]}"
    statement = f"flota_nn_lstm_s8_s16(&{name}_parameters, {operands.inputs[0]}, {targets});"
    return Code((*arrays, struct_text("flota_nn_lstm_t", name, fields)), (statement,))


def _gate_arrays(name: str, gate: LstmGate) -> list[str]:
    return [
        byte_array(f"{name}_weights", gate.input_weights),
        byte_array(f"{name}_recurrent", gate.recurrent_weights),
        number_array("int32_t", f"{name}_bias", gate.bias),
    ]


def _gate(name: str, gate: LstmGate) -> str:
    return (
        f"{{.input_multiplier = {gate.input_factor[0]}, .input_shift = {gate.input_factor[1]}, "
        f".recurrent_multiplier = {gate.recurrent_factor[0]}, .recurrent_shift = {gate.recurrent_factor[1]}, "
        f".input_weights = {name}_weights, .recurrent_weights = {name}_recurrent, .bias = {name}_bias}}"
    )


def _factor(factor: Factor) -> str:
    return f"{{.multiplier = {factor[0]}, .shift = {factor[1]}}}"


def batch_matmul_fields(call: BatchMatMulCall) -> Fields:
    """Members of ``flota_nn_batch_matmul_t``."""
    return {
        "batch": braces(call.batch),
        "left_batch": braces(call.left_batch),
        "right_batch": braces(call.right_batch),
        "rows": call.rows,
        "columns": call.columns,
        "depth": call.depth,
        "left_row": call.left_strides[0],
        "left_step": call.left_strides[1],
        "right_column": call.right_strides[0],
        "right_step": call.right_strides[1],
        "left_offset": call.left_offset,
        "right_offset": call.right_offset,
        "multiplier": call.factor[0],
        "shift": call.factor[1],
        "output_offset": call.output_offset,
    }


def _batch_matmul(name: str, call: BatchMatMulCall, operands: Operands) -> Code:
    struct = struct_text("flota_nn_batch_matmul_t", name, batch_matmul_fields(call))
    return Code((struct,), call_text("flota_nn_batch_matmul_s8", name, operands))


EMITTERS: dict[type, Emitter] = {SvdfCall: _svdf, LstmCall: _lstm, BatchMatMulCall: _batch_matmul}
