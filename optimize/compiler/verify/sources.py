"""Rules of the payloads that say what the model means: the output's shape follows from inputs and options."""

from __future__ import annotations

from typing import Any

from optimize.compiler import ir
from optimize.compiler.geometry import conv_output, conv_padding
from optimize.compiler.shapes import result_shape
from optimize.compiler.verify.common import Operands, Rule, same_elements, same_shape


def _windowed(payload: ir.Conv2D | ir.DepthwiseConv2D | ir.Pool, inputs: Operands, outputs: Operands) -> str:
    """Ranks, batch and the two image sizes of a sliding window."""
    if len(inputs[0].shape) != 4 or len(outputs[0].shape) != 4:
        return f"input {list(inputs[0].shape)} and output {list(outputs[0].shape)} must be NHWC"
    if isinstance(payload, ir.Pool):
        size, dilation = payload.size, (1, 1)
    else:
        if len(inputs) < 2 or len(inputs[1].shape) != 4:
            return "its weights must have rank 4"
        size, dilation = (inputs[1].shape[1], inputs[1].shape[2]), payload.dilation
    image = (inputs[0].shape[1], inputs[0].shape[2])
    pads = conv_padding(payload, image, size, dilation)
    expected = (inputs[0].shape[0], *conv_output(image, size, payload.stride, dilation, pads))
    if min(expected) < 1 or outputs[0].shape[:3] != expected:
        return f"output {list(outputs[0].shape)}, expected {list(expected)} before the channels"
    return ""


def _conv(payload: ir.Conv2D, inputs: Operands, outputs: Operands) -> str:
    problem = _windowed(payload, inputs, outputs)
    if problem:
        return problem
    in_channels, out_channels = inputs[0].shape[3], outputs[0].shape[3]
    filters, _, _, group_channels = inputs[1].shape
    if filters != out_channels or in_channels % group_channels:
        return f"weights {list(inputs[1].shape)} for {in_channels} input and {out_channels} output channels"
    if out_channels % (in_channels // group_channels):
        return f"{out_channels} output channels in {in_channels // group_channels} groups"
    return _bias(inputs, out_channels)


def _depthwise(payload: ir.DepthwiseConv2D, inputs: Operands, outputs: Operands) -> str:
    problem = _windowed(payload, inputs, outputs)
    if problem:
        return problem
    in_channels, out_channels = inputs[0].shape[3], outputs[0].shape[3]
    if inputs[1].shape[0] != 1 or inputs[1].shape[3] != out_channels or out_channels % in_channels:
        return f"weights {list(inputs[1].shape)} for {in_channels} input and {out_channels} output channels"
    return _bias(inputs, out_channels)


def _transpose_conv(payload: ir.TransposeConv, inputs: Operands, outputs: Operands) -> str:
    if len(inputs) < 2 or any(len(tensor.shape) != 4 for tensor in (*inputs[:2], outputs[0])):
        return "its input, weights and output must have rank 4"
    (batches, _, _, depth), (filters, _, _, in_channels) = inputs[0].shape, inputs[1].shape
    if depth != in_channels or (outputs[0].shape[0], outputs[0].shape[3]) != (batches, filters):
        return f"weights {list(inputs[1].shape)} from {list(inputs[0].shape)} to {list(outputs[0].shape)}"
    return _bias(inputs, filters)


def _bias(inputs: Operands, channels: int) -> str:
    if len(inputs) == 3 and inputs[2].elements != channels:
        return f"a bias of {inputs[2].elements} values for {channels} channels"
    return ""


def _fully_connected(payload: ir.FullyConnected, inputs: Operands, outputs: Operands) -> str:
    if len(inputs) < 2 or len(inputs[1].shape) != 2 or not outputs[0].shape:
        return "its weights must have rank 2"
    units, depth = inputs[1].shape
    batches = inputs[0].elements // depth
    if batches * depth != inputs[0].elements or outputs[0].shape[-1] != units:
        return f"weights {list(inputs[1].shape)} for an input of {inputs[0].elements} values"
    if outputs[0].elements != batches * units:
        return f"output {list(outputs[0].shape)} for {batches} batches of {units}"
    return _bias(inputs, units)


def _pool(payload: ir.Pool, inputs: Operands, outputs: Operands) -> str:
    problem = _windowed(payload, inputs, outputs)
    if not problem and inputs[0].shape[3] != outputs[0].shape[3]:
        return "it changes the number of channels"
    return problem


def _mean(payload: ir.Mean | ir.Reduce, inputs: Operands, outputs: Operands) -> str:
    shape = inputs[0].shape
    if any(not 0 <= axis < len(shape) for axis in payload.axes):
        return f"axes {list(payload.axes)} of shape {list(shape)}"
    kept = tuple(size for axis, size in enumerate(shape) if axis not in payload.axes)
    ones = tuple(1 if axis in payload.axes else size for axis, size in enumerate(shape))
    return "" if outputs[0].shape in (kept, ones) else f"output {list(outputs[0].shape)}, expected {list(kept)}"


def _arg_pick(payload: ir.ArgPick, inputs: Operands, outputs: Operands) -> str:
    shape = inputs[0].shape
    expected = (*shape[: payload.axis], *shape[payload.axis + 1 :])
    return "" if outputs[0].shape == expected else f"output {list(outputs[0].shape)}, expected {list(expected)}"


def _resize(payload: ir.ResizeBilinear, inputs: Operands, outputs: Operands) -> str:
    before, after = inputs[0].shape, outputs[0].shape
    if len(before) != 4 or len(after) != 4 or (before[0], before[3]) != (after[0], after[3]):
        return f"input {list(before)} and output {list(after)} must be NHWC with the same batch and channels"
    return ""


def _binary(payload: ir.Binary, inputs: Operands, outputs: Operands) -> str:
    if payload.kind == "div" and len({tensor.dtype for tensor in (*inputs, *outputs)}) != 1:
        return "its inputs and output differ in type"
    rank = max(len(tensor.shape) for tensor in inputs)
    left, right = ((1,) * (rank - len(tensor.shape)) + tensor.shape for tensor in inputs)
    if any(a != b and 1 not in (a, b) for a, b in zip(left, right, strict=True)):
        return f"shapes {list(inputs[0].shape)} and {list(inputs[1].shape)} do not broadcast"
    expected = tuple(max(a, b) for a, b in zip(left, right, strict=True))
    return "" if outputs[0].shape == expected else f"output {list(outputs[0].shape)}, expected {list(expected)}"


def _select(payload: ir.Select, inputs: Operands, outputs: Operands) -> str:
    expected = result_shape(payload, inputs)
    if expected is None:
        return f"shapes {[list(tensor.shape) for tensor in inputs]} do not broadcast"
    if len({tensor.dtype for tensor in (*inputs[1:], *outputs)}) != 1:
        return "what it chooses from differs in type"
    return "" if outputs[0].shape == expected else f"output {list(outputs[0].shape)}, expected {list(expected)}"


def _add_n(payload: ir.AddN, inputs: Operands, outputs: Operands) -> str:
    if {tensor.dtype for tensor in inputs} != {outputs[0].dtype}:
        return "its inputs and output differ in type"
    others = [list(tensor.shape) for tensor in inputs if tensor.shape != outputs[0].shape]
    return f"input {others[0]}, output {list(outputs[0].shape)}" if others else ""


def _cumsum(payload: ir.CumSum, inputs: Operands, outputs: Operands) -> str:
    if not 0 <= payload.axis < len(inputs[0].shape):
        return f"axis {payload.axis} of shape {list(inputs[0].shape)}"
    if inputs[0].dtype != outputs[0].dtype:
        return f"it turns {inputs[0].dtype} into {outputs[0].dtype}"
    return same_shape(payload, inputs, outputs)


def _pad(payload: ir.Pad, inputs: Operands, outputs: Operands) -> str:
    if len(payload.amounts) != len(inputs[0].shape):
        return "one pair of paddings per axis is needed"
    expected = tuple(
        size + before + after for size, (before, after) in zip(inputs[0].shape, payload.amounts, strict=True)
    )
    if inputs[0].dtype != outputs[0].dtype:
        return f"it turns {inputs[0].dtype} into {outputs[0].dtype}"
    return "" if outputs[0].shape == expected else f"output {list(outputs[0].shape)}, expected {list(expected)}"


def _transpose(payload: ir.Transpose, inputs: Operands, outputs: Operands) -> str:
    expected = tuple(inputs[0].shape[axis] for axis in payload.permutation)
    if inputs[0].dtype != outputs[0].dtype:
        return f"it turns {inputs[0].dtype} into {outputs[0].dtype}"
    return "" if outputs[0].shape == expected else f"output {list(outputs[0].shape)}, expected {list(expected)}"


def _concat(payload: ir.Concat, inputs: Operands, outputs: Operands) -> str:
    axis, shape = payload.axis, outputs[0].shape
    if {tensor.dtype for tensor in inputs} != {outputs[0].dtype}:
        return "its inputs and output differ in type"
    for tensor in inputs:
        if len(tensor.shape) != len(shape) or any(
            i != axis and size != shape[i] for i, size in enumerate(tensor.shape)
        ):
            return f"input {list(tensor.shape)} does not fit output {list(shape)} on axis {axis}"
    total = sum(tensor.shape[axis] for tensor in inputs)
    return "" if total == shape[axis] else f"its inputs add up to {total} on axis {axis}, not {shape[axis]}"


def _reshape(payload: ir.Reshape, inputs: Operands, outputs: Operands) -> str:
    if inputs[0].dtype != outputs[0].dtype:
        return f"it turns {inputs[0].dtype} into {outputs[0].dtype}"
    return same_elements(payload, inputs, outputs)


def _known(payload: ir.Known, inputs: Operands, outputs: Operands) -> str:
    return "" if len(payload.data) == outputs[0].bytes else f"{len(payload.data)} bytes for {outputs[0].bytes}"


def _anything(payload: Any, inputs: Operands, outputs: Operands) -> str:
    return ""


RULES: dict[type, Rule] = {
    ir.Conv2D: _conv,
    ir.DepthwiseConv2D: _depthwise,
    ir.FullyConnected: _fully_connected,
    ir.Pool: _pool,
    ir.Mean: _mean,
    ir.Binary: _binary,
    ir.Pad: _pad,
    ir.Reshape: _reshape,
    ir.Transpose: _transpose,
    ir.Concat: _concat,
    ir.Softmax: same_shape,
    ir.LogSoftmax: same_shape,
    ir.Select: _select,
    ir.AddN: _add_n,
    ir.CumSum: _cumsum,
    ir.Unary: same_elements,
    ir.FloatFunction: same_elements,
    ir.Tabulated: same_elements,
    ir.Quantize: same_elements,
    ir.Dequantize: same_elements,
    ir.Rescale: same_elements,
    ir.Known: _known,
    ir.Cast: same_elements,
    ir.Opaque: _anything,
    ir.TransposeConv: _transpose_conv,
    ir.Reduce: _mean,
    ir.ArgPick: _arg_pick,
    ir.L2Normalization: same_shape,
    ir.ResizeBilinear: _resize,
}
