"""Readers of the operators that put elements elsewhere: blocks to depth or batch, mirrors, repeats, picks, resizing."""

from __future__ import annotations

import itertools
import math

import numpy as np

from optimize.compiler import schema
from optimize.compiler.geometry import contiguous_strides
from optimize.compiler.ir import Move, Opaque, Pick, Rearrange, ResizeBilinear, Take, Tensor
from optimize.compiler.operators.context import ONE, TWO, Context, Rule

MAX_POSITIONS = 65_536
"""Rows or columns one operator may pick; positions are stored in 16 bits."""

MAX_BLOCK = 256
"""Elements of a block between space and batch; each takes a move of its own."""


def _space_to_depth(context: Context) -> Rearrange:
    """Result [b, y, x, (dy, dx, c)] is input [b, y * block + dy, x * block + dx, c]."""
    block = _block(context, schema.SpaceToDepthOptions.BLOCK_SIZE)
    batches, height, width, channels = _image(context)
    if height % block or width % block:
        raise context.invalid(f"blocks of {block} do not divide {height}x{width}")
    context.expect((batches, height // block, width // block, channels * block * block))
    near, far = _block_strides(batches, height // block, width // block, block, channels)
    extents = (batches, height // block, width // block, block, block, channels)
    return Rearrange((Move(extents, source_strides=far, target_strides=near),))


def _depth_to_space(context: Context) -> Rearrange:
    """Result [b, y * block + dy, x * block + dx, c] is input [b, y, x, (dy, dx, c)]."""
    block = _block(context, schema.DepthToSpaceOptions.BLOCK_SIZE)
    batches, height, width, channels = _image(context)
    if channels % (block * block):
        raise context.invalid(f"blocks of {block} do not divide {channels} channels")
    context.expect((batches, height * block, width * block, channels // (block * block)))
    near, far = _block_strides(batches, height, width, block, channels // (block * block))
    extents = (batches, height, width, block, block, channels // (block * block))
    return Rearrange((Move(extents, source_strides=near, target_strides=far),))


def _block_strides(
    batches: int, rows: int, columns: int, block: int, channels: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Strides of [b, y, x, dy, dx, c] in the tensor with deep blocks and in the one with wide blocks."""
    near = contiguous_strides((batches, rows, columns, block, block, channels))
    line = columns * block * channels
    return near, (rows * block * line, block * line, block * channels, line, channels, 1)


def _block(context: Context, field: int) -> int:
    block = context.required().i32(field)
    if not 1 <= block <= 4096:
        raise context.invalid(f"block size {block}")
    return block


def _image(context: Context) -> tuple[int, int, int, int]:
    """The shape of the input, which must have four axes."""
    shape = context.inputs[0].shape
    if len(shape) != 4:
        raise context.unsupported(f"input {list(shape)} is not NHWC", "reshape to four axes first")
    return shape[0], shape[1], shape[2], shape[3]


def _blocks_and_margins(
    context: Context, what: str
) -> tuple[tuple[int, int], tuple[int, ...], tuple[int, int, int, int]]:
    """(block, margins, input as NHWC) of the operators between space and batch; of rank 3 a width of 1 is put in."""
    shape = context.inputs[0].shape
    block, margins = context.constant(1, "the block shape"), context.constant(2, what)
    if len(shape) not in (3, 4):
        raise context.unsupported(f"input of rank {len(shape)}", "use an input of rank 3 or 4")
    if math.prod(block) > MAX_BLOCK:
        raise context.unsupported(f"block {list(block)}", f"use blocks of at most {MAX_BLOCK} elements")
    if len(block) != len(shape) - 2 or len(margins) != 2 * len(block) or min(margins) < 0 or min(block) < 1:
        raise context.invalid(f"block {list(block)}, {what} {list(margins)} of shape {list(shape)}")
    if len(shape) == 3:
        return (block[0], 1), (*margins, 0, 0), (shape[0], shape[1], 1, shape[2])
    return (block[0], block[1]), margins, (shape[0], shape[1], shape[2], shape[3])


def _as_rank(context: Context, image: tuple[int, int, int, int]) -> tuple[int, ...]:
    return image if len(context.inputs[0].shape) == 4 else (image[0], image[1], image[3])


def _space_to_batch(context: Context) -> Rearrange:
    """Result [(dy, dx, b), y, x] is the padded input [b, y * block_y + dy, x * block_x + dx]."""
    block, pads, (batches, height, width, channels) = _blocks_and_margins(context, "paddings")
    padded = height + pads[0] + pads[1], width + pads[2] + pads[3]
    if padded[0] % block[0] or padded[1] % block[1]:
        raise context.invalid(f"blocks {list(block)} do not divide {list(padded)}")
    small = padded[0] // block[0], padded[1] // block[1]
    context.expect(_as_rank(context, (batches * block[0] * block[1], *small, channels)))
    moves = _between(block, (pads[0], pads[2]), (batches, height, width, channels), small)
    return Rearrange(moves, _zero_point(context) if any(pads) else None)


def _zero_point(context: Context) -> int:
    """What SPACE_TO_BATCH_ND pads with.

    The TFLM interpreter leaves this value unset and pads with whatever its arena held; here it is TensorFlow Lite's.
    """
    output = context.outputs[0]
    if output.dtype != "int8" or output.quant is None:
        raise context.unsupported(f"padding of {output.dtype}", "convert the model with full int8 quantization")
    return output.quant.zero_points[0]


def _batch_to_space(context: Context) -> Rearrange:
    """Result [b, y * block_y + dy - top, x * block_x + dx - left] is input [(dy, dx, b), y, x]."""
    block, crops, (batches, height, width, channels) = _blocks_and_margins(context, "crops")
    if batches % (block[0] * block[1]):
        raise context.invalid(f"blocks {list(block)} do not divide {batches} batches")
    large = height * block[0] - crops[0] - crops[1], width * block[1] - crops[2] - crops[3]
    image = (batches // (block[0] * block[1]), *large, channels)
    context.expect(_as_rank(context, image))
    moves = _between(block, (crops[0], crops[2]), image, (height, width))
    return Rearrange(
        tuple(Move(m.extents, m.target_strides, m.source_strides, m.target_offset, m.source_offset) for m in moves)
    )


def _between(
    block: tuple[int, int], before: tuple[int, int], large: tuple[int, int, int, int], small: tuple[int, int]
) -> tuple[Move, ...]:
    """Moves from a batch of ``large`` images to ``small`` ones, one move for each place in the block."""
    batches, _, _, channels = large
    from_strides = contiguous_strides(large)
    to_strides = contiguous_strides((batches * block[0] * block[1], *small, channels))
    moves = []
    for dy, dx in itertools.product(range(block[0]), range(block[1])):
        spans = [
            _span(size, cells, step, shift, margin)
            for size, cells, step, shift, margin in zip(large[1:3], small, block, (dy, dx), before, strict=True)
        ]
        (y, at_y, rows), (x, at_x, columns) = spans
        if rows <= 0 or columns <= 0:
            continue
        moves.append(
            Move(
                extents=(batches, rows, columns, channels),
                source_strides=(from_strides[0], block[0] * from_strides[1], block[1] * from_strides[2], 1),
                target_strides=to_strides,
                source_offset=at_y * from_strides[1] + at_x * from_strides[2],
                target_offset=(dy * block[1] + dx) * batches * to_strides[0] + y * to_strides[1] + x * to_strides[2],
            )
        )
    return tuple(moves)


def _span(size: int, cells: int, step: int, shift: int, margin: int) -> tuple[int, int, int]:
    """(first small position, its large position, count) where ``small * step + shift - margin`` lies in the image."""
    first = max(0, -((shift - margin) // step))
    last = min(cells - 1, (size - 1 + margin - shift) // step)
    return first, first * step + shift - margin, last - first + 1


def _mirror_pad(context: Context) -> Rearrange:
    """Each axis is up to three spans: mirrored, plain, mirrored; REFLECT leaves the edge itself out of the mirror."""
    shape, amounts = context.inputs[0].shape, context.constant(1, "the paddings")
    edge = 1 if context.required().i8(schema.MirrorPadOptions.MODE) == 0 else 0
    if len(amounts) != 2 * len(shape):
        raise context.invalid(f"paddings {list(amounts)} of shape {list(shape)}")
    pairs = tuple(zip(amounts[::2], amounts[1::2], strict=True))
    if any(not 0 <= pad <= size - edge for pair, size in zip(pairs, shape, strict=True) for pad in pair):
        raise context.invalid(f"paddings {list(amounts)} are longer than what they mirror, {list(shape)}")
    output = tuple(size + before + after for size, (before, after) in zip(shape, pairs, strict=True))
    context.expect(output)
    axes = [
        [
            span
            for span in (
                (before - 1 + edge, 0, before, -1),
                (0, before, size, 1),
                (size - 1 - edge, before + size, after, -1),
            )
            if span[2] > 0
        ]
        for size, (before, after) in zip(shape, pairs, strict=True)
    ]
    strides, steps = contiguous_strides(shape), contiguous_strides(output)
    moves = tuple(_mirrored(spans, strides, steps) for spans in itertools.product(*axes))
    if len(moves) > 81:
        raise context.unsupported(f"it mirrors {len(shape)} axes", "pad at most four axes")
    return Rearrange(moves)


def _mirrored(spans: tuple[tuple[int, int, int, int], ...], strides: tuple[int, ...], steps: tuple[int, ...]) -> Move:
    """One span (from, to, count, direction) of each axis."""
    return Move(
        extents=tuple(span[2] for span in spans),
        source_strides=tuple(span[3] * stride for span, stride in zip(spans, strides, strict=True)),
        target_strides=steps,
        source_offset=sum(span[0] * stride for span, stride in zip(spans, strides, strict=True)),
        target_offset=sum(span[1] * step for span, step in zip(spans, steps, strict=True)),
    )


def _broadcast_to(context: Context) -> Rearrange:
    shape, wanted = context.inputs[0].shape, context.constant(1, "the shape")
    context.expect(wanted)
    padded = (1,) * (len(wanted) - len(shape)) + shape
    if len(padded) != len(wanted) or any(size not in (1, out) for size, out in zip(padded, wanted, strict=True)):
        raise context.invalid(f"{list(shape)} does not broadcast to {list(wanted)}")
    strides = tuple(0 if size == 1 else stride for size, stride in zip(padded, contiguous_strides(padded), strict=True))
    return Rearrange((Move(wanted, strides, contiguous_strides(wanted)),))


def _tile(context: Context) -> Rearrange:
    shape, times = context.inputs[0].shape, context.constant(1, "the multiples")
    if len(times) != len(shape) or min(times, default=1) < 1:
        raise context.invalid(f"multiples {list(times)} of shape {list(shape)}")
    context.expect(tuple(size * count for size, count in zip(shape, times, strict=True)))
    extents = tuple(extent for pair in zip(times, shape, strict=True) for extent in pair)
    sources = tuple(stride for step in contiguous_strides(shape) for stride in (0, step))
    return Rearrange((Move(extents, sources, contiguous_strides(extents)),))


def _reverse(context: Context) -> Rearrange:
    shape = context.inputs[0].shape
    axes = {context.axis(axis, len(shape)) for axis in context.constant(1, "the axes")}
    context.expect(shape)
    strides = contiguous_strides(shape)
    return Rearrange(
        (
            Move(
                extents=shape,
                source_strides=tuple(-stride if axis in axes else stride for axis, stride in enumerate(strides)),
                target_strides=strides,
                source_offset=sum((shape[axis] - 1) * strides[axis] for axis in axes),
            ),
        )
    )


def _gather(context: Context) -> Take | Pick:
    source, indices, options = *context.inputs[:2], context.options
    shape, rank = source.shape, len(indices.shape)
    axis = context.axis(0 if options is None else options.i32(schema.GatherOptions.AXIS), len(shape))
    shared = 0 if options is None else options.i32(schema.GatherOptions.BATCH_DIMS)
    shared += rank if shared < 0 else 0
    if not 0 <= shared <= min(axis, rank) or shape[:shared] != indices.shape[:shared]:
        raise context.invalid(f"{shared} batch dimensions of {list(shape)} and {list(indices.shape)}")
    context.expect((*shape[:axis], *indices.shape[shared:], *shape[axis + 1 :]))
    batch, outer, run = math.prod(shape[:shared]), math.prod(shape[shared:axis]), math.prod(shape[axis + 1 :])
    if indices.data is None or shared > 0:
        return _pick(context, indices, Pick(batch, outer, shape[axis], math.prod(indices.shape[shared:]), run))
    positions = context.constant(1, "the indices")
    if any(not 0 <= position < shape[axis] for position in positions):
        raise context.invalid(f"an index lies outside axis {axis} of {shape[axis]} entries")
    _check_positions(context, shape[axis], len(positions))
    return Take((outer, shape[axis], 1), run, positions, (0,))


def _embedding_lookup(context: Context) -> Pick | Opaque:
    """Rows of the second operand, by the numbers in the first."""
    indices, source = context.inputs
    if context.outputs[0].dtype != source.dtype:
        return Opaque(f"it turns {source.dtype} into {context.outputs[0].dtype}", "quantize the model to full int8")
    if len(indices.shape) != 1 or not source.shape:
        raise context.invalid(f"rows {list(indices.shape)} of {list(source.shape)}")
    context.expect((*indices.shape, *source.shape[1:]))
    return _pick(context, indices, Pick(1, 1, source.shape[0], indices.elements, math.prod(source.shape[1:])))


def _pick(context: Context, indices: Tensor, pick: Pick) -> Pick:
    if indices.dtype != "int32":
        raise context.unsupported(
            f"indices of type {indices.dtype}", "cast them to int32, as the interpreter wants them"
        )
    context.kept.extend((0, 1) if indices is context.inputs[1] else (1, 0))
    return pick


def _gather_nd(context: Context) -> Take:
    """Result [i…] is the part of the input at the position that the i-th vector of indices names."""
    shape, indices = context.inputs[0].shape, context.constant(1, "the indices")
    places = context.inputs[1].shape
    if not places or places[-1] > len(shape):
        raise context.invalid(f"indices of shape {list(places)} into {list(shape)}")
    named, kept = shape[: places[-1]], shape[places[-1] :]
    context.expect((*places[:-1], *kept))
    vectors = np.array(indices, np.int64).reshape(-1, len(named))
    if ((vectors < 0) | (vectors >= np.array(named))).any():
        raise context.invalid(f"an index lies outside {list(named)}")
    count = math.prod(named)
    _check_positions(context, count, len(vectors))
    rows = vectors @ np.array(contiguous_strides(named), np.int64)
    return Take((1, count, 1), math.prod(kept), tuple(int(row) for row in rows), (0,))


def _update_slice(context: Context) -> Rearrange:
    """The first input, with the second in the place of a part of it: all that surrounds it, then that itself."""
    (operand, update), starts = context.inputs[:2], context.constant(2, "the start")
    shape, part = operand.shape, update.shape
    if not len(shape) == len(part) == len(starts) or any(a < b for a, b in zip(shape, part, strict=True)):
        raise context.invalid(f"{list(part)} at {list(starts)} of {list(shape)}")
    context.expect(shape)
    first = [min(max(start, 0), size - count) for start, size, count in zip(starts, shape, part, strict=True)]
    strides, moves = contiguous_strides(shape), []
    low, counts = [0] * len(shape), list(shape)
    for axis, (at, count) in enumerate(zip(first, part, strict=True)):
        for start, end in ((0, at), (at + count, shape[axis])):
            low[axis], counts[axis] = start, end - start
            if end > start:
                offset = sum(place * step for place, step in zip(low, strides, strict=True))
                moves.append(Move(tuple(counts), strides, strides, offset, offset))
        low[axis], counts[axis] = at, count
    offset = sum(place * step for place, step in zip(first, strides, strict=True))
    return Rearrange((*moves, Move(part, contiguous_strides(part), strides, 0, offset, source=1)))


def _check_positions(context: Context, *counts: int) -> None:
    if max(counts) > MAX_POSITIONS:
        raise context.unsupported(f"{max(counts)} positions on an axis, at most {MAX_POSITIONS}", "use smaller tensors")


def _resized(context: Context) -> tuple[tuple[int, int, int, int], tuple[int, ...]]:
    """(shape of the image, new height and width), with what both ways of resizing check."""
    image = batches, height, width, channels = _image(context)
    size = context.constant(1, "the size")
    if len(size) != 2 or min(size) < 1:
        raise context.invalid(f"size {list(size)}")
    context.expect((batches, *size, channels))
    _check_positions(context, height, width, *size)
    return image, size


def _resize_nearest(context: Context) -> Take:
    options, field = context.required(), schema.ResizeNearestNeighborOptions
    (batches, height, width, channels), size = _resized(context)
    flags = options.flag(field.ALIGN_CORNERS), options.flag(field.HALF_PIXEL_CENTERS)
    rows, columns = (nearest_positions(old, new, *flags) for old, new in zip((height, width), size, strict=True))
    return Take((batches, height, width), channels, rows, columns)


def nearest_positions(old: int, new: int, align_corners: bool, half_pixel_centers: bool) -> tuple[int, ...]:
    """Which of ``old`` positions each of ``new`` takes; in float32 like GetNearestNeighbor of the interpreter.

    Source: tensorflow/lite/kernels/internal/reference/resize_nearest_neighbor.h.
    """
    f32 = np.float32
    scale = f32(old - 1) / f32(new - 1) if align_corners and new > 1 else f32(old) / f32(new)
    exact = (np.arange(new, dtype=f32) + f32(0.5 if half_pixel_centers else 0.0)) * scale
    # Halves away from zero; none of the values is negative.
    nearest = np.floor(exact.astype(np.float64) + 0.5) if align_corners else np.floor(exact)
    return tuple(int(position) for position in np.minimum(nearest, old - 1))


def _resize_bilinear(context: Context) -> ResizeBilinear:
    options, field = context.required(), schema.ResizeBilinearOptions
    _resized(context)
    flags = options.flag(field.ALIGN_CORNERS), options.flag(field.HALF_PIXEL_CENTERS)
    if all(flags):
        raise context.invalid("align_corners and half_pixel_centers exclude each other")
    return ResizeBilinear(*flags)


RULES: dict[str, Rule] = {
    "BATCH_TO_SPACE_ND": Rule(_batch_to_space, range(3, 4), runtime_inputs=1),
    "BROADCAST_TO": Rule(_broadcast_to, TWO, runtime_inputs=1),
    "DEPTH_TO_SPACE": Rule(_depth_to_space, ONE, options_type=94),
    "DYNAMIC_UPDATE_SLICE": Rule(_update_slice, range(3, 4), runtime_inputs=2),
    "EMBEDDING_LOOKUP": Rule(_embedding_lookup, TWO),
    "GATHER": Rule(_gather, TWO, options_type=23, runtime_inputs=1),
    "GATHER_ND": Rule(_gather_nd, TWO, runtime_inputs=1),
    "MIRROR_PAD": Rule(_mirror_pad, TWO, options_type=77, runtime_inputs=1),
    "RESIZE_BILINEAR": Rule(_resize_bilinear, TWO, options_type=15, runtime_inputs=1),
    "RESIZE_NEAREST_NEIGHBOR": Rule(_resize_nearest, TWO, options_type=74, runtime_inputs=1),
    "REVERSE_V2": Rule(_reverse, TWO, runtime_inputs=1),
    "SPACE_TO_BATCH_ND": Rule(_space_to_batch, range(3, 4), runtime_inputs=1),
    "TILE": Rule(_tile, TWO, runtime_inputs=1),
    "SPACE_TO_DEPTH": Rule(_space_to_depth, ONE, options_type=19),
}
