"""Lowering of the operators that only move values."""

from __future__ import annotations

import math

from optimize.compiler import ir
from optimize.compiler.geometry import contiguous_strides, merge_axes, merge_padded
from optimize.compiler.ir import Op, Tensor
from optimize.compiler.kernels import ConcatCall, PadCall, TransposeCall
from optimize.compiler.lowering.common import check_rank, quant_of, require_same_quant
from optimize.compiler.lowering.table import Lowering


def _pad(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> PadCall:
    assert isinstance(op.payload, ir.Pad)
    _, zero_point = quant_of(op, output)
    extents, before, after = merge_padded(inputs[0].shape, op.payload.amounts)
    check_rank(op, len(extents))
    value = zero_point if op.payload.value is None else op.payload.value
    return PadCall(extents, before, after, value)


def _transpose(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> TransposeCall:
    assert isinstance(op.payload, ir.Transpose)
    strides = contiguous_strides(inputs[0].shape)
    extents, (steps,) = merge_axes(output.shape, tuple(strides[axis] for axis in op.payload.permutation))
    check_rank(op, len(extents))
    return TransposeCall(extents, steps)


def _concat(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> ConcatCall:
    assert isinstance(op.payload, ir.Concat)
    for tensor in inputs:
        require_same_quant(op, tensor, output)
    rows = math.prod(output.shape[: op.payload.axis])
    return ConcatCall(rows, tuple(tensor.elements // rows for tensor in inputs))


LOWERINGS: dict[type, Lowering] = {
    ir.Pad: _pad,
    ir.Transpose: _transpose,
    ir.Concat: _concat,
}
