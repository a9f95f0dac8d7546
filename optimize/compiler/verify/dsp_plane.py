"""Rules of the depthwise calls of the DSP extension that run down a plane."""

from __future__ import annotations

from optimize.compiler.kernels_dsp_plane import STRIDES, DspDepthwisePlaneCall
from optimize.compiler.verify.common import Operands, Rule, sizes


def _depthwise_plane(call: DspDepthwisePlaneCall, inputs: Operands, outputs: Operands) -> str:
    count, channels, batches = call.output.channels, call.input.channels, call.input.batches
    if call.output.batches != batches or count % channels or call.strides[0] not in STRIDES or call.taps % 2 == 0:
        return f"{channels} and {count} channels, strides {call.strides}, {call.taps} taps"
    counts = {len(call.biases), len(call.multipliers), len(call.biases if call.shifts is None else call.shifts)}
    if counts != {count} or len(call.weights) != count * call.taps * call.window_columns:
        return f"constants that do not fit {count} channels"
    borders = ((call.rows.pad, 2 * call.plane.words), (call.columns.pad, call.plane.columns))
    if any(not 0 <= pad < extent for pad, extent in borders):
        return f"borders of {call.rows.pad} and {call.columns.pad} in a plane of {call.plane}"
    extents = call.rows.extent * call.columns.extent, call.rows.out_extent * call.columns.out_extent
    return sizes((inputs[0].bytes, batches * channels * extents[0]), (outputs[0].bytes, batches * count * extents[1]))


RULES: dict[type, Rule] = {DspDepthwisePlaneCall: _depthwise_plane}
