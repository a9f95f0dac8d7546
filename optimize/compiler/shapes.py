"""The shape of a result from the shapes of the inputs: what the interpreter computes where a file leaves sizes open.

A converter records ones for open sizes, so after a reshape to [-1, n] the recorded shapes of what follows are wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optimize.compiler import ir
from optimize.compiler.geometry import conv_output, conv_padding
from optimize.compiler.ir import Tensor

Shape = tuple[int, ...]
Operands = tuple[Tensor, ...]


def result_shape(payload: ir.SourcePayload, inputs: Operands) -> Shape | None:
    """The shape of the only result; None where no rule says or the inputs do not fit (the verifier will say why)."""
    rule = SHAPES.get(type(payload))
    try:
        return None if rule is None or not inputs else rule(payload, inputs)
    except (IndexError, ValueError, ZeroDivisionError):
        return None


def _windowed(payload: ir.Conv2D | ir.DepthwiseConv2D | ir.Pool, inputs: Operands) -> Shape:
    batches, height, width, channels = inputs[0].shape
    size, dilation = (payload.size, (1, 1)) if isinstance(payload, ir.Pool) else (_kernel(inputs), payload.dilation)
    pads = conv_padding(payload, (height, width), size, dilation)
    if isinstance(payload, ir.Conv2D):
        channels = inputs[1].shape[0]
    if isinstance(payload, ir.DepthwiseConv2D):
        channels = inputs[1].shape[3]
    return (batches, *conv_output((height, width), size, payload.stride, dilation, pads), channels)


def _kernel(inputs: Operands) -> tuple[int, int]:
    _, height, width, _ = inputs[1].shape
    return height, width


def _fully_connected(payload: ir.FullyConnected, inputs: Operands) -> Shape:
    units, depth = inputs[1].shape
    return (*inputs[0].shape[:-1], units) if payload.keep_dims else (inputs[0].elements // depth, units)


def _reduced(payload: ir.Mean | ir.Reduce, inputs: Operands) -> Shape:
    return tuple(
        1 if axis in payload.axes else size
        for axis, size in enumerate(inputs[0].shape)
        if payload.keep_dims or axis not in payload.axes
    )


def _arg_pick(payload: ir.ArgPick, inputs: Operands) -> Shape:
    shape = inputs[0].shape
    return (*shape[: payload.axis], *shape[payload.axis + 1 :])


def broadcast_shape(left: Shape, right: Shape) -> Shape:
    """As NumPy broadcasts; ValueError where the shapes do not fit."""
    rank = max(len(left), len(right))
    pairs = zip((1,) * (rank - len(left)) + left, (1,) * (rank - len(right)) + right, strict=True)
    shape = []
    for a, b in pairs:
        if a != b and 1 not in (a, b):
            raise ValueError(f"{left} and {right} do not broadcast")
        shape.append(max(a, b))
    return tuple(shape)


def _binary(payload: ir.Binary, inputs: Operands) -> Shape:
    return broadcast_shape(inputs[0].shape, inputs[1].shape)


def _select(payload: ir.Select, inputs: Operands) -> Shape:
    return broadcast_shape(inputs[0].shape, broadcast_shape(inputs[1].shape, inputs[2].shape))


def _pad(payload: ir.Pad, inputs: Operands) -> Shape:
    return tuple(size + before + after for size, (before, after) in zip(inputs[0].shape, payload.amounts, strict=True))


def _transpose(payload: ir.Transpose, inputs: Operands) -> Shape:
    return tuple(inputs[0].shape[axis] for axis in payload.permutation)


def _concat(payload: ir.Concat, inputs: Operands) -> Shape:
    axis, first = payload.axis, inputs[0].shape
    return (*first[:axis], sum(tensor.shape[axis] for tensor in inputs), *first[axis + 1 :])


def _same(payload: Any, inputs: Operands) -> Shape:
    return inputs[0].shape


SHAPES: dict[type, Callable[[Any, Operands], Shape]] = {
    ir.AddN: _same,
    ir.ArgPick: _arg_pick,
    ir.Binary: _binary,
    ir.Cast: _same,
    ir.Concat: _concat,
    ir.Conv2D: _windowed,
    ir.CumSum: _same,
    ir.DepthwiseConv2D: _windowed,
    ir.Dequantize: _same,
    ir.FloatFunction: _same,
    ir.FullyConnected: _fully_connected,
    ir.L2Normalization: _same,
    ir.LogSoftmax: _same,
    ir.Mean: _reduced,
    ir.Pad: _pad,
    ir.Pool: _windowed,
    ir.Quantize: _same,
    ir.Reduce: _reduced,
    ir.Rescale: _same,
    ir.Select: _select,
    ir.Softmax: _same,
    ir.Transpose: _transpose,
    ir.Unary: _same,
}
"""Payload -> the rule; reshapes, slices and the like settle their results where they are read."""
