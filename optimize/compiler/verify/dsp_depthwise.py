"""Rules of the depthwise calls of the DSP extension."""

from __future__ import annotations

from optimize.compiler import kernels_dsp_depthwise as dsp
from optimize.compiler.kernels import DepthwiseCall
from optimize.compiler.verify import calls
from optimize.compiler.verify.common import Operands, Rule, sizes


def _depthwise3(call: dsp.DspDepthwise3Call, inputs: Operands, outputs: Operands) -> str:
    count, batches = len(call.channels), call.input.batches
    if call.stride not in (1, 2) or (call.output.batches, call.output.channels) != (batches, count):
        return f"stride {call.stride}, {call.output.batches} batches and {call.output.channels} channels"
    extents = call.rows.extent * call.columns.extent, call.rows.out_extent * call.columns.out_extent
    if any(axis.pad < 0 or (axis.out_extent - 1) * call.stride - axis.pad >= axis.extent for axis in _axes(call)):
        return "a window lies outside the image"
    return sizes((inputs[0].bytes, batches * count * extents[0]), (outputs[0].bytes, batches * count * extents[1]))


def _axes(call: dsp.DspDepthwise3Call) -> tuple[dsp.Axis, dsp.Axis]:
    return call.rows, call.columns


def _depthwise(call: dsp.DspDepthwiseCall, inputs: Operands, outputs: Operands) -> str:
    channels = call.portable.output.channels
    counts = {len(call.biases), len(call.multipliers), len(call.biases if call.shifts is None else call.shifts)}
    if counts != {channels} or len(call.weights) != len(call.portable.weights):
        return f"constants that do not fit {channels} channels"
    return calls.RULES[DepthwiseCall](call.portable, inputs, outputs)


RULES: dict[type, Rule] = {dsp.DspDepthwise3Call: _depthwise3, dsp.DspDepthwiseCall: _depthwise}
