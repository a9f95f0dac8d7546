"""Lowering of the operators that only move values."""

from __future__ import annotations

import math

from optimize.compiler import ir
from optimize.compiler.geometry import contiguous_strides, merge_axes, merge_padded
from optimize.compiler.ir import DTYPE_BYTES, Op, Tensor
from optimize.compiler.kernels import ConcatCall, PadCall, TransposeCall
from optimize.compiler.kernels_movement import MoveCall
from optimize.compiler.lowering.common import check_rank, quant_of, require_same_quant
from optimize.compiler.lowering.rearranging import byte_move
from optimize.compiler.lowering.table import Lowering


def _pad(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> PadCall | MoveCall:
    assert isinstance(op.payload, ir.Pad)
    if output.dtype != "int8":
        return _padded_by_moves(op, op.payload, inputs[0], output)
    _, zero_point = quant_of(op, output)
    extents, before, after = merge_padded(inputs[0].shape, op.payload.amounts)
    check_rank(op, len(extents))
    value = zero_point if op.payload.value is None else op.payload.value
    return PadCall(extents, before, after, value)


def _padded_by_moves(op: Op, pad: ir.Pad, source: Tensor, output: Tensor) -> MoveCall:
    """Of other types than int8 the interpreter pads with 0, whatever the zero point."""
    strides = contiguous_strides(output.shape)
    start = sum(before * step for (before, _), step in zip(pad.amounts, strides, strict=True))
    move = ir.Move(source.shape, contiguous_strides(source.shape), strides, target_offset=start)
    return MoveCall((byte_move(op, move, DTYPE_BYTES[output.dtype]),), 0, output.bytes)


def _transpose(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> TransposeCall | MoveCall:
    assert isinstance(op.payload, ir.Transpose)
    strides = contiguous_strides(inputs[0].shape)
    permuted = tuple(strides[axis] for axis in op.payload.permutation)
    if output.dtype != "int8":
        move = ir.Move(output.shape, permuted, contiguous_strides(output.shape))
        return MoveCall((byte_move(op, move, DTYPE_BYTES[output.dtype]),))
    extents, (steps,) = merge_axes(output.shape, permuted)
    check_rank(op, len(extents))
    return TransposeCall(extents, steps)


def _concat(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> ConcatCall | MoveCall:
    assert isinstance(op.payload, ir.Concat)
    rows = math.prod(output.shape[: op.payload.axis])
    runs = tuple(tensor.elements // rows for tensor in inputs)
    if output.dtype != "int8":
        return _joined_by_moves(op, rows, runs, DTYPE_BYTES[output.dtype])
    for tensor in inputs:
        require_same_quant(op, tensor, output)
    return ConcatCall(rows, runs)


def _joined_by_moves(op: Op, rows: int, runs: tuple[int, ...], size: int) -> MoveCall:
    """Inputs of ``rows`` runs each, of elements of ``size`` bytes."""
    moves, start = [], 0
    for place, run in enumerate(runs):
        moves.append(ir.Move((rows, run), (run, 1), (sum(runs), 1), target_offset=start, source=place))
        start += run
    return MoveCall(tuple(byte_move(op, move, size) for move in moves))


LOWERINGS: dict[type, Lowering] = {
    ir.Pad: _pad,
    ir.Transpose: _transpose,
    ir.Concat: _concat,
}
