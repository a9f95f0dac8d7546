"""Arithmetic of shapes: sliding windows, and merging of axes that a loop can walk as one."""

from __future__ import annotations

from optimize.compiler.ir import Conv2D, DepthwiseConv2D, Pool

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]
"""(top, bottom, left, right)."""


def conv_padding(payload: Conv2D | DepthwiseConv2D | Pool, image: Pair, size: Pair, dilation: Pair) -> Pads:
    """What is added around an image of (height, width) for a window of ``size``.

    SAME as in TensorFlow: the smallest padding that gives ceil(image / stride) outputs, the odd one at the end.
    """
    if payload.explicit_pad is not None:
        return payload.explicit_pad
    if payload.padding == "VALID":
        return 0, 0, 0, 0
    pads = []
    for extent, window, stride, step in zip(image, size, payload.stride, dilation, strict=True):
        outputs = -(-extent // stride)
        total = max((outputs - 1) * stride + (window - 1) * step + 1 - extent, 0)
        pads += [total // 2, total - total // 2]
    return pads[0], pads[1], pads[2], pads[3]


def conv_output(image: Pair, size: Pair, stride: Pair, dilation: Pair, pads: Pads) -> Pair:
    """(height, width) of the output of a sliding window; not positive where the window does not fit."""
    padded = image[0] + pads[0] + pads[1], image[1] + pads[2] + pads[3]
    reach = tuple((size[i] - 1) * dilation[i] + 1 for i in range(2))
    return (padded[0] - reach[0]) // stride[0] + 1, (padded[1] - reach[1]) // stride[1] + 1


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Elements to step along each axis of a dense tensor, last axis fastest."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def merge_axes(extents: tuple[int, ...], *strides: tuple[int, ...]) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """Drop axes of one element and join neighbours that every operand walks without a jump.

    Returns the merged extents and the merged strides of each operand; at least one axis remains.
    """
    axes = [(size, *steps) for size, *steps in zip(extents, *strides, strict=True) if size != 1]
    merged: list[tuple[int, ...]] = []
    for size, *steps in axes:
        if merged and all(outer == step * size for outer, step in zip(merged[-1][1:], steps, strict=True)):
            merged[-1] = (merged[-1][0] * size, *steps)
        else:
            merged.append((size, *steps))
    merged = merged or [(1,) + (0,) * len(strides)]
    columns = list(zip(*merged, strict=True))
    return columns[0], columns[1:]


def merge_padded(
    extents: tuple[int, ...], amounts: tuple[Pair, ...]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """(extents, before, after) with axes that carry no padding joined to the axis outside them."""
    merged: list[tuple[int, int, int]] = []
    for size, (before, after) in zip(extents, amounts, strict=True):
        if merged and before == after == 0:
            outer = merged[-1]
            merged[-1] = (outer[0] * size, outer[1] * size, outer[2] * size)
        elif size == 1 and before == after == 0:
            continue
        else:
            merged.append((size, before, after))
    columns = list(zip(*(merged or [(1, 0, 0)]), strict=True))
    return columns[0], columns[1], columns[2]
