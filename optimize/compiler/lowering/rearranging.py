"""Lowering of the operators that copy elements: to bytes, with as few loops as the strides allow."""

from __future__ import annotations

from optimize.compiler import ir
from optimize.compiler.geometry import contiguous_strides, merge_axes
from optimize.compiler.ir import DTYPE_BYTES, Op, Tensor
from optimize.compiler.kernels_image import ResizeBilinearCall
from optimize.compiler.kernels_movement import ByteMove, MoveCall, PickCall, TakeCall
from optimize.compiler.lowering.common import check_rank, image_of
from optimize.compiler.lowering.table import Lowering
from optimize.errors import UnsupportedOperator


def _rearrange(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> MoveCall:
    assert isinstance(op.payload, ir.Rearrange)
    size = DTYPE_BYTES[output.dtype]
    moves = tuple(byte_move(op, move, size) for move in op.payload.moves)
    return MoveCall(moves) if op.payload.fill is None else MoveCall(moves, op.payload.fill, output.bytes)


def byte_move(op: Op, move: ir.Move, size: int) -> ByteMove:
    """The move in bytes; elements, and whole axes where both sides are dense, become one run."""
    extents, (sources, targets) = merge_axes(
        (*move.extents, size),
        (*(stride * size for stride in move.source_strides), 1),
        (*(stride * size for stride in move.target_strides), 1),
    )
    run = 1
    if sources[-1] == targets[-1] == 1:
        run, extents, sources, targets = extents[-1], extents[:-1], sources[:-1], targets[:-1]
    extents, sources, targets = extents or (1,), sources or (0,), targets or (0,)
    check_rank(op, len(extents))
    offsets = move.source_offset * size, move.target_offset * size
    return ByteMove(extents, sources, targets, run, *offsets, move.source, move.target)


def _take(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> TakeCall | MoveCall:
    assert isinstance(op.payload, ir.Take)
    payload, run = op.payload, op.payload.run * DTYPE_BYTES[output.dtype]
    repeats = [
        _repeat(taken, count) for taken, count in zip((payload.rows, payload.columns), payload.shape[1:], strict=True)
    ]
    if 0 in repeats:
        return TakeCall(payload.shape, run, payload.rows, payload.columns)
    outer, rows, columns = payload.shape
    extents = (outer, rows, repeats[0], columns, repeats[1], payload.run)
    source = (rows * columns * payload.run, columns * payload.run, 0, payload.run, 0, 1)
    move = ir.Move(extents, source, contiguous_strides(extents))
    return MoveCall((byte_move(op, move, DTYPE_BYTES[output.dtype]),))


def _pick(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> PickCall:
    assert isinstance(op.payload, ir.Pick)
    pick = op.payload
    return PickCall(pick.batch, pick.outer, pick.count, pick.picks, pick.run * DTYPE_BYTES[output.dtype])


def _repeat(positions: tuple[int, ...], count: int) -> int:
    """n where ``positions`` are all of ``count`` in turn, each n times; else 0."""
    times = len(positions) // count
    return times if positions == tuple(i // max(times, 1) for i in range(times * count)) else 0


def _resize_bilinear(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> ResizeBilinearCall:
    """Steps in 1/1024 of a pixel, as ResizeBilinearInteger of the interpreter computes them."""
    assert isinstance(op.payload, ir.ResizeBilinear)
    scales = []
    for old, new in zip(inputs[0].shape[1:3], output.shape[1:3], strict=True):
        if op.payload.align_corners and new > 1:
            old, new = old - 1, new - 1
        scales.append((1024 * old + new // 2) // new)
    offsets = [scale // 2 - 512 if op.payload.half_pixel_centers else 0 for scale in scales]
    for old, new, scale, offset in zip(inputs[0].shape[1:3], output.shape[1:3], scales, offsets, strict=True):
        if ((new - 1) * scale + offset) // 1024 >= old:
            raise UnsupportedOperator(
                f"{op.label}: the interpreter reads outside the image at this size", hint="enlarge in two steps"
            )
    return ResizeBilinearCall(image_of(inputs[0]), image_of(output), (scales[0], scales[1]), (offsets[0], offsets[1]))


LOWERINGS: dict[type, Lowering] = {
    ir.Rearrange: _rearrange,
    ir.Take: _take,
    ir.Pick: _pick,
    ir.ResizeBilinear: _resize_bilinear,
}
