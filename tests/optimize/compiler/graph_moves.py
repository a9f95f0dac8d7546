"""Steps of random graphs that only move values: slices, splits, stacks, blocks, mirrors, repeats, picks."""

from __future__ import annotations

import math

from graph_maker import Maker
from tflite_builder import options

MAX_ELEMENTS = 4_000
"""Steps that repeat values stop at this size."""


def slice_(m: Maker) -> None:
    shape = m.shape()
    begin = [m.pick(0, m.number(0, n - 1)) for n in shape]
    sizes = [m.pick(n - b, m.number(1, n - b)) for n, b in zip(shape, begin, strict=True)]
    named = [-1 if b + size == n and m.chance(30) else size for n, b, size in zip(shape, begin, sizes, strict=True)]
    operands = [m.now, m.b.constant(begin), m.b.constant(named)]
    m.step("SLICE", operands, m.same_quant(tuple(sizes)), options("SliceOptions"))


def strided_slice(m: Maker) -> None:
    shape = m.shape()
    begin, end, steps, kept = [], [], [], []
    masks = {"beginMask": 0, "endMask": 0, "shrinkAxisMask": 0}
    for axis, size in enumerate(shape):
        step = m.pick(1, 1, 2, 3, -1, -2)
        first = m.number(0, size - 1)
        count = m.number(1, (size - first if step > 0 else first + 1) // abs(step) or 1)
        last = first + step * count
        if m.chance(15) and sum(map(bool, kept)) >= 0 and axis < len(shape) - 1:
            masks["shrinkAxisMask"] |= 1 << axis
            step, last = 1, first + 1
        else:
            if m.chance(20):
                masks["beginMask"] |= 1 << axis
                first = 0 if step > 0 else size - 1
            if m.chance(20):
                masks["endMask"] |= 1 << axis
                last = size if step > 0 else -1
            last = min(max(last, -1), size)
            if (last - first) * step <= 0:
                last = first + (1 if step > 0 else -1)
            kept.append(-(-(last - first) // step))
        begin.append(first if m.chance(70) else first - size)
        end.append(last if last >= 0 else -size - 1)
        steps.append(step)
    operands = [m.now, *map(m.b.constant, (begin, end, steps))]
    m.step("STRIDED_SLICE", operands, m.same_quant(tuple(kept)), options("StridedSliceOptions", **masks))


def split(m: Maker) -> None:
    """Equal parts; the graph goes on from one, the others may be used later or not at all."""
    shape = m.shape()
    axis = m.number(0, len(shape) - 1)
    count = m.pick(*(n for n in (1, 2, 3, 4, 5) if shape[axis] % n == 0))
    part = (*shape[:axis], shape[axis] // count, *shape[axis + 1 :])
    parts = [m.same_quant(part) for _ in range(count)]
    named = axis - len(shape) if m.pick(True, False) else axis
    table = options("SplitOptions", numSplits=count)
    m.b.op("SPLIT", [m.b.constant([named], ()), m.now], parts, table)
    m.now = m.pick(*parts)


def split_v(m: Maker) -> None:
    shape = m.shape()
    axis = m.number(0, len(shape) - 1)
    first = m.number(1, shape[axis])
    sizes = [first] if first == shape[axis] else [first, shape[axis] - first]
    parts = [m.same_quant((*shape[:axis], size, *shape[axis + 1 :])) for size in sizes]
    operands = [m.now, m.b.constant(sizes), m.b.constant([axis], ())]
    m.b.op("SPLIT_V", operands, parts, options("SplitVOptions", numSplits=len(parts)))
    m.now = m.pick(*parts)


def pack(m: Maker) -> None:
    shape = m.shape()
    if len(shape) > 3:
        return transposed_blocks(m)
    others = [m.now, m.constant(shape, *m.quant())][: m.number(0, 2)]
    parts, axis = [m.now, *others], m.number(0, len(shape))
    output = m.same_quant((*shape[:axis], len(parts), *shape[axis:]))
    return m.step("PACK", parts, output, options("PackOptions", axis=axis, valuesCount=len(parts)))


def unpack(m: Maker) -> None:
    shape = m.shape()
    axis = min(range(len(shape)), key=lambda place: abs(shape[place] - 3))
    if shape[axis] > 8 or len(shape) < 2:
        return slice_(m)
    parts = [m.same_quant((*shape[:axis], *shape[axis + 1 :])) for _ in range(shape[axis])]
    m.b.op("UNPACK", [m.now], parts, options("UnpackOptions", axis=axis, num=len(parts)))
    m.now = m.pick(*parts)
    return None


def transposed_blocks(m: Maker) -> None:
    """SPACE_TO_DEPTH or DEPTH_TO_SPACE, where a block fits."""
    shape = m.shape()
    if len(shape) != 4:
        return reverse(m)
    batch, height, width, channels = shape
    wide = [b for b in (2, 3, 4) if height % b == 0 and width % b == 0]
    deep = [b for b in (2, 3) if channels % (b * b) == 0]
    if wide and (not deep or m.pick(True, False)):
        block = m.pick(*wide)
        out = (batch, height // block, width // block, channels * block * block)
        return m.step("SPACE_TO_DEPTH", [m.now], m.same_quant(out), options("SpaceToDepthOptions", blockSize=block))
    if deep:
        block = m.pick(*deep)
        out = (batch, height * block, width * block, channels // (block * block))
        return m.step("DEPTH_TO_SPACE", [m.now], m.same_quant(out), options("DepthToSpaceOptions", blockSize=block))
    return mirror_pad(m)


def mirror_pad(m: Maker) -> None:
    shape, mode = m.shape(), m.pick(0, 1)
    limits = [min(2, n - 1 if mode == 0 else n) for n in shape]
    amounts = [m.number(0, limit) if m.chance(60) else 0 for limit in limits for _ in range(2)]
    out = tuple(n + a + b for n, a, b in zip(shape, amounts[::2], amounts[1::2], strict=True))
    operands = [m.now, m.b.constant(amounts, (len(shape), 2))]
    m.step("MIRROR_PAD", operands, m.same_quant(out), options("MirrorPadOptions", mode=mode))


def pad_value(m: Maker) -> None:
    shape = m.shape()
    amounts = [m.number(0, 2) for _ in range(2 * len(shape))]
    out = tuple(n + a + b for n, a, b in zip(shape, amounts[::2], amounts[1::2], strict=True))
    operands = [m.now, m.b.constant(amounts, (len(shape), 2)), m.constant((1,), *m.quant())]
    m.step("PADV2", operands, m.same_quant(out), options("PadV2Options"))


def broadcast_to(m: Maker) -> None:
    shape = m.shape()
    out = tuple(m.number(2, 4) if n == 1 and m.chance(60) else n for n in shape)
    out = (m.number(1, 3), *out) if len(shape) < 4 and m.chance(30) else out
    if math.prod(out) > MAX_ELEMENTS:
        return reverse(m)
    return m.step("BROADCAST_TO", [m.now, m.b.constant(out)], m.same_quant(out), options("BroadcastToOptions"))


def reverse(m: Maker) -> None:
    axis = m.number(0, len(m.shape()) - 1)
    m.step("REVERSE_V2", [m.now, m.b.constant([axis])], m.same_quant(m.shape()), options("ReverseV2Options"))


def gather(m: Maker) -> None:
    shape = m.shape()
    axis = m.number(0, len(shape) - 1)
    positions = [m.number(0, shape[axis] - 1) for _ in range(m.number(1, 6))]
    out = (*shape[:axis], len(positions), *shape[axis + 1 :])
    if math.prod(out) > MAX_ELEMENTS:
        return slice_(m)
    table = options("GatherOptions", axis=axis, batchDims=0)
    return m.step("GATHER", [m.now, m.b.constant(positions)], m.same_quant(out), table)


def pick(m: Maker) -> None:
    """Rows of a table, by the positions of the largest values."""
    shape = m.shape()
    if len(shape) < 2:
        return gather(m)
    places = m.b.op("ARG_MAX", [m.now, m.b.constant([len(shape) - 1], ())], m.b.tensor(shape[:-1], "int32"))
    table = m.constant((shape[-1], m.number(1, 5)), *m.quant())
    out = (*shape[:-1], m.shape(table)[1])
    if len(out) > 4 or math.prod(out) > MAX_ELEMENTS:
        return gather(m)
    return m.step("GATHER", [table, places], m.same_quant(out), options("GatherOptions", axis=0, batchDims=0))


def gather_nd(m: Maker) -> None:
    shape = m.shape()
    depth = m.number(1, len(shape))
    vectors = [[m.number(0, n - 1) for n in shape[:depth]] for _ in range(m.number(1, 6))]
    out = (len(vectors), *shape[depth:])
    if math.prod(out) > MAX_ELEMENTS:
        return slice_(m)
    flat = [place for vector in vectors for place in vector]
    return m.step("GATHER_ND", [m.now, m.b.constant(flat, (len(vectors), depth))], m.same_quant(out))


def update_slice(m: Maker) -> None:
    shape = m.shape()
    part = tuple(m.number(1, n) for n in shape)
    starts = [m.number(-1, n) for n in shape]
    operands = [m.now, m.constant(part, *m.quant()), m.b.constant(starts)]
    m.step("DYNAMIC_UPDATE_SLICE", operands, m.same_quant(shape))


def resize_nearest(m: Maker) -> None:
    resize(m, "RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions")


def resize_bilinear(m: Maker) -> None:
    resize(m, "RESIZE_BILINEAR", "ResizeBilinearOptions")


def resize(m: Maker, name: str, kind: str) -> None:
    batch, height, width, channels = m.shape()
    if m.elements() * 4 > MAX_ELEMENTS:
        size = m.number(1, height), m.number(1, width)
    else:
        size = m.pick((2 * height, 2 * width), (m.number(1, 2 * height), m.number(1, 2 * width)))
    corners, centers = m.pick((False, False), (True, False), (False, True))
    table = options(kind, alignCorners=corners, halfPixelCenters=centers)
    m.step(name, [m.now, m.b.constant(size)], m.same_quant((batch, *size, channels)), table)


IMAGE_MOVES = (("SPACE_TO_DEPTH", transposed_blocks), ("RESIZE_NEAREST_NEIGHBOR", resize_nearest))
ANY_MOVES = (
    *(("SLICE", slice_), ("STRIDED_SLICE", strided_slice), ("SPLIT", split), ("SPLIT_V", split_v), ("PACK", pack)),
    *(("UNPACK", unpack), ("MIRROR_PAD", mirror_pad), ("PADV2", pad_value), ("BROADCAST_TO", broadcast_to)),
    *(
        ("REVERSE_V2", reverse),
        ("GATHER", gather),
        ("GATHER_ND", gather_nd),
        ("GATHER", pick),
        ("DYNAMIC_UPDATE_SLICE", update_slice),
    ),
)
