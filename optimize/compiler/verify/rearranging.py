"""Rules of the operators that copy elements: no move leaves its tensors, and together they fill every result."""

from __future__ import annotations

import math

from optimize.compiler import ir
from optimize.compiler.kernels_movement import ByteMove, MoveCall, PickCall, TakeCall
from optimize.compiler.verify.common import Operands, Rule, sizes


def _rearrange(payload: ir.Rearrange, inputs: Operands, outputs: Operands) -> str:
    if any(tensor.dtype != outputs[0].dtype for tensor in (*inputs, *outputs)):
        return "its inputs and outputs differ in type"
    written = [0] * len(outputs)
    for move in payload.moves:
        problem = _bounds(move, inputs[move.source].elements, outputs[move.target].elements)
        if problem:
            return problem
        written[move.target] += math.prod(move.extents)
    return _filled(payload.fill, written, [output.elements for output in outputs])


def _filled(fill: int | None, written: list[int], wanted: list[int]) -> str:
    short = any(have > want if fill is not None else have != want for have, want in zip(written, wanted, strict=True))
    return f"it writes {written} of {wanted} elements" if short else ""


def _bounds(move: ir.Move | ByteMove, source_size: int, target_size: int, run: int = 1) -> str:
    sides = (
        ("reads", move.source_strides, move.source_offset, source_size),
        ("writes", move.target_strides, move.target_offset, target_size),
    )
    if min(move.extents) < 1:
        return f"a move over {list(move.extents)} elements"
    for verb, strides, offset, size in sides:
        steps = [(extent - 1) * stride for extent, stride in zip(move.extents, strides, strict=True)]
        low = offset + sum(min(step, 0) for step in steps)
        high = offset + sum(max(step, 0) for step in steps) + run
        if low < 0 or high > size:
            return f"it {verb} from {low} up to {high} in a tensor of {size}"
    return ""


def _move_call(payload: MoveCall, inputs: Operands, outputs: Operands) -> str:
    written = [0] * len(outputs)
    for move in payload.moves:
        problem = _bounds(move, inputs[move.source].bytes, outputs[move.target].bytes, move.run)
        if problem:
            return problem
        written[move.target] += math.prod(move.extents) * move.run
    if payload.filled_bytes not in (0, outputs[0].bytes):
        return f"it fills {payload.filled_bytes} of {outputs[0].bytes} bytes"
    return _filled(payload.fill if payload.filled_bytes else None, written, [output.bytes for output in outputs])


def _take(payload: ir.Take, inputs: Operands, outputs: Operands) -> str:
    if inputs[0].dtype != outputs[0].dtype:
        return "its input and output differ in type"
    return _taken(payload, inputs[0].elements, outputs[0].elements)


def _taken(payload: ir.Take | TakeCall, source_size: int, target_size: int) -> str:
    outer, rows, columns = payload.shape
    if not all(0 <= row < rows for row in payload.rows) or not all(0 <= c < columns for c in payload.columns):
        return "a position lies outside its axis"
    return sizes(
        (source_size, outer * rows * columns * payload.run),
        (target_size, outer * len(payload.rows) * len(payload.columns) * payload.run),
    )


def _pick(payload: ir.Pick, inputs: Operands, outputs: Operands) -> str:
    if inputs[0].dtype != outputs[0].dtype:
        return "its input and output differ in type"
    return _picked(payload, inputs[0].elements, inputs[1].elements, outputs[0].elements)


def _picked(payload: ir.Pick | PickCall, source_size: int, positions: int, target_size: int) -> str:
    lines = payload.batch * payload.outer
    return sizes(
        (source_size, lines * payload.count * payload.run),
        (positions, payload.batch * payload.picks),
        (target_size, lines * payload.picks * payload.run),
    )


def _pick_call(payload: PickCall, inputs: Operands, outputs: Operands) -> str:
    return _picked(payload, inputs[0].bytes, inputs[1].bytes // 4, outputs[0].bytes)


def _take_call(payload: TakeCall, inputs: Operands, outputs: Operands) -> str:
    return _taken(payload, inputs[0].bytes, outputs[0].bytes)


RULES: dict[type, Rule] = {
    ir.Rearrange: _rearrange,
    ir.Take: _take,
    ir.Pick: _pick,
    PickCall: _pick_call,
    MoveCall: _move_call,
    TakeCall: _take_call,
}
