"""Calls on the packed matrix product of the DSP extension as C."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimize.compiler import kernels_dsp as dsp
from optimize.compiler.emit.operators.common import (
    Code,
    Emitter,
    Fields,
    Operands,
    scratch_call_text,
    struct_text,
    window_fields,
)
from optimize.compiler.emit.text import number_array

PRODUCTS: dict[dsp.Product, str] = {
    "twice": "flota_nn_dsp_gemm_4x2",
    "once": "flota_nn_dsp_gemm_4x2_once",
    "wide": "flota_nn_dsp_gemm_wide",
}


ONE_COLUMN: dict[dsp.Product, str] = {"twice": "flota_nn_dsp_gemm_4x1_s8", "wide": "flota_nn_dsp_gemm_wide_s8"}


def gemm_text(name: str, gemm: dsp.Gemm, product: str = "") -> tuple[tuple[str, ...], str]:
    """(arrays, initializer) of a flota_nn_dsp_gemm_t.

    ``product`` is the member with its function; without one the kernel knows the function, and nothing is clamped.
    """
    words = number_array("uint32_t", f"{name}_weights", np.frombuffer(gemm.weights, "<u4").tolist(), "0x{:08x}".format)
    biases = number_array("int32_t", f"{name}_bias", [value for group in gemm.biases for value in group])
    factors = number_array("int32_t", f"{name}_factors", [word for group in gemm.factors for word in group])
    stride = 4 * len(gemm.factors[0]) if len(gemm.factors) > 1 else 0
    value = (
        f"{{.weights = {name}_weights, .bias = {name}_bias, .factors = {name}_factors, "
        f".factors_stride = {stride}, "
        f".bias_end = {name}_bias + {4 * len(gemm.biases)}, .groups = {len(gemm.biases)}, "
        f".last_channels = {gemm.channels - 4 * (len(gemm.biases) - 1)}, "
        f".pairs = {gemm.pairs}, .offset = {2 * gemm.output_zero + 1}"
    )
    if product:
        value += f", .min = {gemm.clamp[0]}, .max = {gemm.clamp[1]}, {product}"
    return (words, biases, factors), value + "}"


def _conv_constants(name: str, call: dsp.DspConvCall) -> tuple[str, ...]:
    arrays, gemm = gemm_text(name, call.gemm, f".multiply = {PRODUCTS[call.gemm.product]}")
    pixel, row, whole = call.output_steps
    fields: Fields = {
        **window_fields(call.input, call.output, call.window),
        "pixel_bytes": pixel,
        "row_bytes": row,
        "image_bytes": whole,
        "run_bytes": call.run_bytes,
        "runs_per_row": call.runs_per_row,
        "zero": call.input_zero,
        "gemm": gemm,
    }
    return (*arrays, struct_text("flota_nn_dsp_conv_t", name, fields))


def _conv(name: str, call: dsp.DspConvCall, operands: Operands) -> Code:
    return Code(_conv_constants(name, call), scratch_call_text("flota_nn_dsp_conv_s8", name, operands))


def _conv_parts(name: str, call: dsp.DspConvPartsCall, operands: Operands) -> Code:
    constants: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
    for number, part in enumerate(call.parts):
        identifier = f"{name}_part{number}"
        constants += _conv_constants(identifier, part.conv)
        inputs = (f"{operands.inputs[0]} + {part.input_offset}",)
        outputs = (f"{operands.outputs[0]} + {part.output_offset}",)
        places = replace(operands, inputs=inputs, outputs=outputs)
        statements += scratch_call_text("flota_nn_dsp_conv_s8", identifier, places)
    return Code(constants, statements)


def _pointwise(name: str, call: dsp.DspPointwiseCall, operands: Operands) -> Code:
    arrays, gemm = gemm_text(name, call.gemm, f".multiply = {PRODUCTS[call.gemm.product]}")
    fields: Fields = {
        "pixels": call.pixels,
        "in_channels": call.in_channels,
        "out_channels": call.out_channels,
        "gemm": gemm,
    }
    parameters = struct_text("flota_nn_dsp_pointwise_t", name, fields)
    return Code((*arrays, parameters), scratch_call_text("flota_nn_dsp_pointwise_s8", name, operands))


def _fully_connected(name: str, call: dsp.DspFullyConnectedCall, operands: Operands) -> Code:
    arrays, gemm = gemm_text(name, call.gemm, f".multiply_one = {ONE_COLUMN[call.gemm.product]}")
    fields: Fields = {
        "batches": call.batches,
        "in_features": call.in_features,
        "out_features": call.out_features,
        "gemm": gemm,
    }
    parameters = struct_text("flota_nn_dsp_fully_connected_t", name, fields)
    return Code((*arrays, parameters), scratch_call_text("flota_nn_dsp_fully_connected_s8", name, operands))


EMITTERS: dict[type, Emitter] = {
    dsp.DspConvCall: _conv,
    dsp.DspConvPartsCall: _conv_parts,
    dsp.DspPointwiseCall: _pointwise,
    dsp.DspFullyConnectedCall: _fully_connected,
}
