"""Readers of the operators that cut tensors apart and stack them: slices, splits, PACK and UNPACK."""

from __future__ import annotations

import math

from optimize.compiler import schema
from optimize.compiler.geometry import contiguous_strides
from optimize.compiler.ir import Move, Rearrange, Tensor
from optimize.compiler.operators.context import MANY, ONE, Context, Rule


def cut(tensor: Tensor, starts: tuple[int, ...], steps: tuple[int, ...], counts: tuple[int, ...]) -> Move:
    """The move that writes ``counts`` elements per axis, from ``starts`` on in ``steps``, densely to a result."""
    strides = contiguous_strides(tensor.shape)
    return Move(
        extents=counts,
        source_strides=tuple(step * stride for step, stride in zip(steps, strides, strict=True)),
        target_strides=contiguous_strides(counts),
        source_offset=sum(start * stride for start, stride in zip(starts, strides, strict=True)),
    )


def _slice(context: Context) -> Rearrange:
    shape = context.inputs[0].shape
    starts, wanted = context.constant(1, "the begin"), context.constant(2, "the size")
    if len(starts) != len(shape) or len(wanted) != len(shape):
        raise context.invalid(f"begin {list(starts)} and size {list(wanted)} of shape {list(shape)}")
    counts = tuple(
        size - start if count == -1 else count for size, start, count in zip(shape, starts, wanted, strict=True)
    )
    if any(
        not (start >= 0 < count and start + count <= size)
        for size, start, count in zip(shape, starts, counts, strict=True)
    ):
        raise context.invalid(f"begin {list(starts)} and size {list(wanted)} of shape {list(shape)}")
    context.expect(counts)
    return Rearrange((cut(context.inputs[0], starts, (1,) * len(shape), counts),))


def _strided_slice(context: Context) -> Rearrange:
    options, field, shape = context.required(), schema.StridedSliceOptions, context.inputs[0].shape
    begin, end, steps = (
        context.constant(operand, what) for operand, what in ((1, "the begin"), (2, "the end"), (3, "the strides"))
    )
    for mask in (field.ELLIPSIS_MASK, field.NEW_AXIS_MASK):
        if options.i32(mask) != 0:
            raise context.unsupported(
                f"its {mask.name.lower()} is {options.i32(mask)}", "index every axis; add axes with a reshape"
            )
    if options.flag(field.OFFSET):
        raise context.unsupported("its end is an offset", "give the end as a position")
    if not len(begin) == len(end) == len(steps) == len(shape) or 0 in steps:
        raise context.invalid(f"begin {list(begin)}, end {list(end)}, strides {list(steps)} of shape {list(shape)}")
    masks = options.i32(field.BEGIN_MASK), options.i32(field.END_MASK), options.i32(field.SHRINK_AXIS_MASK)
    if any(step < 0 and masks[2] >> axis & 1 for axis, step in enumerate(steps)):
        raise context.unsupported("it goes backwards on an axis that it drops", "give that axis the stride 1")
    ranges = [
        _axis_range(size, begin[axis], end[axis], steps[axis], tuple(bool(mask >> axis & 1) for mask in masks))
        for axis, size in enumerate(shape)
    ]
    if any(len(taken) == 0 or not 0 <= taken[0] < size for taken, size in zip(ranges, shape, strict=True)):
        raise context.invalid(f"begin {list(begin)} and end {list(end)} leave nothing of shape {list(shape)}")
    counts = tuple(len(taken) for taken in ranges)
    context.expect(tuple(count for axis, count in enumerate(counts) if not masks[2] >> axis & 1))
    return Rearrange((cut(context.inputs[0], tuple(r[0] for r in ranges), tuple(r.step for r in ranges), counts),))


def _axis_range(size: int, begin: int, end: int, step: int, masks: tuple[bool, ...]) -> range:
    """The positions taken along one axis; ``masks`` are begin, end and shrink.

    As StartForAxis and StopForAxis of tensorflow/lite/kernels/internal/strided_slice_logic.h.
    """
    open_begin, open_end, shrink = masks
    low, high = (0, size) if step > 0 else (-1, size - 1)
    start = begin + size if begin < 0 else begin
    if open_begin:
        start = low if step > 0 else high
    start = min(max(start, low), high)
    if shrink:
        return range(start, start + 1)
    stop = end + size if end < 0 else end
    if open_end:
        stop = high if step > 0 else low
    return range(start, min(max(stop, low), high), step)


def _split(context: Context) -> Rearrange:
    (axis,) = _scalar(context, 0, "the axis")
    source, count = context.inputs[1], len(context.outputs)
    axis = context.axis(axis, len(source.shape))
    if source.shape[axis] % count:
        raise context.invalid(f"{source.shape[axis]} on axis {axis} do not split into {count}")
    return _parts(context, source, axis, (source.shape[axis] // count,) * count)


def _split_v(context: Context) -> Rearrange:
    (axis,) = _scalar(context, 2, "the axis")
    source, sizes = context.inputs[0], context.constant(1, "the sizes")
    axis = context.axis(axis, len(source.shape))
    rest = source.shape[axis] - sum(size for size in sizes if size != -1)
    sizes = tuple(rest if size == -1 else size for size in sizes)
    if len(sizes) != len(context.outputs) or min(sizes) < 1 or sum(sizes) != source.shape[axis]:
        raise context.invalid(f"sizes {list(sizes)} of {source.shape[axis]} on axis {axis}")
    return _parts(context, source, axis, sizes)


def _scalar(context: Context, operand: int, what: str) -> tuple[int, ...]:
    values = context.constant(operand, what)
    if len(values) != 1:
        raise context.invalid(f"{what} has {len(values)} values")
    return values


def _parts(context: Context, source: Tensor, axis: int, sizes: tuple[int, ...]) -> Rearrange:
    """``source`` cut along an axis into results of ``sizes``."""
    moves, start = [], 0
    for place, size in enumerate(sizes):
        context.expect((*source.shape[:axis], size, *source.shape[axis + 1 :]), place)
        moves.append(_part(source, axis, start, size, place))
        start += size
    return Rearrange(tuple(moves))


def _part(source: Tensor, axis: int, start: int, count: int, target: int) -> Move:
    inner = math.prod(source.shape[axis + 1 :])
    outer = math.prod(source.shape[:axis])
    return Move(
        extents=(outer, count * inner),
        source_strides=(source.shape[axis] * inner, 1),
        target_strides=(count * inner, 1),
        source_offset=start * inner,
        target=target,
    )


def _pack(context: Context) -> Rearrange:
    options, shape = context.required(), context.inputs[0].shape
    axis = context.axis(options.i32(schema.PackOptions.AXIS), len(shape) + 1)
    count = len(context.inputs)
    _check_count(context, options.i32(schema.PackOptions.VALUES_COUNT), count)
    if any(tensor.shape != shape for tensor in context.inputs):
        raise context.invalid("its inputs differ in shape")
    context.expect((*shape[:axis], count, *shape[axis:]))
    outer, inner = math.prod(shape[:axis]), math.prod(shape[axis:])
    return Rearrange(
        tuple(
            Move((outer, inner), (inner, 1), (count * inner, 1), target_offset=place * inner, source=place)
            for place in range(count)
        )
    )


def _unpack(context: Context) -> Rearrange:
    options, source = context.required(), context.inputs[0]
    axis = context.axis(options.i32(schema.UnpackOptions.AXIS), len(source.shape))
    if len(context.outputs) != source.shape[axis]:
        raise context.invalid(f"{len(context.outputs)} outputs of {source.shape[axis]} on axis {axis}")
    _check_count(context, options.i32(schema.UnpackOptions.NUM), len(context.outputs))
    for place in range(len(context.outputs)):
        context.expect((*source.shape[:axis], *source.shape[axis + 1 :]), place)
    return Rearrange(tuple(_part(source, axis, place, 1, place) for place in range(len(context.outputs))))


def _check_count(context: Context, noted: int, there: int) -> None:
    """The interpreter goes by the number in the options."""
    if noted != there:
        raise context.invalid(f"its options tell of {noted} tensors, it has {there}")


RULES: dict[str, Rule] = {
    "PACK": Rule(_pack, MANY, options_type=59),
    "SLICE": Rule(_slice, range(3, 4), runtime_inputs=1),
    "SPLIT": Rule(_split, range(2, 3), runtime_inputs=(1,), outputs=MANY),
    "SPLIT_V": Rule(_split_v, range(3, 4), runtime_inputs=1, outputs=MANY),
    "STRIDED_SLICE": Rule(_strided_slice, range(4, 5), options_type=32, runtime_inputs=1),
    "UNPACK": Rule(_unpack, ONE, options_type=64, outputs=MANY),
}
