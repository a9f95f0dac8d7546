"""Depthwise calls of the DSP extension that run down a plane, as C."""

from __future__ import annotations

from optimize.compiler.emit.operators.common import (
    Code,
    Emitter,
    Fields,
    Operands,
    clamp_text,
    scratch_call_text,
    struct_text,
)
from optimize.compiler.emit.operators.dsp_depthwise import axes_fields
from optimize.compiler.emit.text import byte_array, number_array
from optimize.compiler.kernels_dsp_plane import DspDepthwisePlaneCall


def _depthwise_plane(name: str, call: DspDepthwisePlaneCall, operands: Operands) -> Code:
    arrays = [
        byte_array(f"{name}_weights", call.weights),
        number_array("int32_t", f"{name}_bias", call.biases),
        number_array("int32_t", f"{name}_multiplier", call.multipliers),
    ]
    if call.shifts is not None:
        arrays.append(number_array("int8_t", f"{name}_shift", call.shifts))
    struct = struct_text("flota_nn_dsp_depthwise_plane_t", name, _fields(name, call))
    statements = scratch_call_text("flota_nn_dsp_depthwise_plane_s8", name, operands)
    clamped = clamp_text(call.output.elements, call.clamp, operands)
    return Code((*arrays, struct), (*statements, *clamped))


def _fields(name: str, call: DspDepthwisePlaneCall) -> Fields:
    return {
        "batches": call.input.batches,
        "channels": call.input.channels,
        "filters": call.output.channels // call.input.channels,
        **axes_fields(call.rows, call.columns),
        "window_rows": call.taps,
        "window_columns": call.window_columns,
        "row_stride": call.strides[0],
        "column_stride": call.strides[1],
        "plane_words": call.plane.words,
        "plane_columns": call.plane.columns,
        "output_zero": call.output_zero,
        "zero": call.input_zero,
        "weights": f"{name}_weights",
        "bias": f"{name}_bias",
        "multiplier": f"{name}_multiplier",
        "shift": "NULL" if call.shifts is None else f"{name}_shift",
        "run": call.run,
    }


EMITTERS: dict[type, Emitter] = {DspDepthwisePlaneCall: _depthwise_plane}
