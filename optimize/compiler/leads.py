"""How far an output may grow over an input that dies: the proofs behind ``Kernel.lead``, by replaying a kernel's order.

A kernel is a sequence of steps. Each step first reads what it needs and then writes; the writes go on from where the
step before left off, from the output's first byte to its last. An input that starts ``lead`` bytes after the output is
safe if after every step k the bytes written so far, [0, written[k]), all lie before the first input byte that some
later step still reads:

    written[k] <= lead + min(first_read[k + 1:])        for every k but the last

and the smallest such lead is what ``order_lead`` gives. Numbers are bytes from the operand's own start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from optimize.compiler.kernels import Image, Window

Numbers = NDArray[np.int64]

NEVER = 1 << 40
"""Stands for the first byte read by a step that reads nothing."""


def order_lead(written: Numbers, first_read: Numbers) -> int:
    """The smallest safe lead of an order of steps.

    ``written[k]``: output bytes written after step k, ascending. ``first_read[k]``: the lowest input byte that step k
    reads, ``NEVER`` for none. Where nothing is read after the first write every lead is safe: the result is far below
    zero.
    """
    if len(written) < 2:
        return -NEVER
    still_read = np.minimum.accumulate(first_read[:0:-1])[::-1]
    return int((written[:-1] - still_read).max())


def element_lead(first_read: Numbers, bytes_each: int = 1) -> int:
    """The lead of a kernel that writes elements of ``bytes_each`` bytes in order, each after its own reads."""
    return order_lead(np.arange(1, len(first_read) + 1, dtype=np.int64) * bytes_each, first_read)


def window_lead(source: Image, target: Image, window: Window, channels: Numbers) -> int:
    """The lead of a sliding window that finishes one int8 value after the other, in the output's order.

    ``channels[c]`` is the first input channel that output channel c reads; every value reads its whole window anew.
    """
    reads = _bytes(first_pixels(source, target, window), source.channels)[:, None]
    return element_lead(np.where(reads == NEVER, NEVER, reads + channels[None, :]).reshape(-1))


def streaming_lead(
    source: Image, target: Image, window: Window, *, block: int, across_rows: bool = False, copied_rows: bool = False
) -> int:
    """The lead of a sliding window that reads all it needs for ``block`` output pixels before it writes any of them.

    A block is a run of pixels of one output row, or of one image with ``across_rows``, the last run possibly shorter;
    blocks go in the output's order. With ``copied_rows`` the kernel copies each input row to scratch once, whole and in
    order, before the first output row that needs it, and never reads the input itself again: a row's later uses do not
    hold the output back.
    """
    starts = _new_rows(source, target, window) if copied_rows else first_pixels(source, target, window)
    run = target.height * target.width if across_rows else target.width
    runs = starts.reshape(-1, run)
    cuts = np.arange(0, run, block)
    firsts = np.minimum.reduceat(runs, cuts, axis=1)
    ends = np.minimum(cuts + block, run)[None, :] + np.arange(len(runs), dtype=np.int64)[:, None] * run
    return order_lead(ends.reshape(-1) * target.channels, _bytes(firsts.reshape(-1), source.channels))


def first_pixels(source: Image, target: Image, window: Window) -> Numbers:
    """[output pixels of all images] -> number of the first input pixel its window touches, ``NEVER`` for none."""
    rows = _first_inside(target.height, source.height, window, axis=0)
    columns = _first_inside(target.width, source.width, window, axis=1)
    outside = (rows == NEVER)[:, None] | (columns == NEVER)[None, :]
    one = np.where(outside, NEVER, rows[:, None] * source.width + columns[None, :])
    return _all_images(source, target, one)


def _first_inside(outputs: int, extent: int, window: Window, *, axis: int) -> Numbers:
    """Along one axis: the first position inside the image of each output's window, ``NEVER`` for none."""
    size, stride, step, pad = (pair[axis] for pair in (window.size, window.stride, window.dilation, window.pad))
    origin = np.arange(outputs, dtype=np.int64) * stride - pad
    taps = np.maximum(-(origin // step), 0)
    first = origin + taps * step
    return np.where((taps < size) & (first < extent), first, NEVER)


def _new_rows(source: Image, target: Image, window: Window) -> Numbers:
    """Like ``first_pixels``, for a kernel that copies rows: only the first pixel of an output row reads, new rows."""
    origin = np.arange(target.height, dtype=np.int64) * window.stride[0] - window.pad[0]
    reached = np.minimum(origin + (window.size[0] - 1) * window.dilation[0], source.height - 1)
    needed = np.maximum.accumulate(np.maximum(reached + 1, 0))
    copied = np.concatenate([np.zeros(1, np.int64), needed[:-1]])
    pixels = np.full((target.height, target.width), NEVER, np.int64)
    pixels[:, 0] = np.where(needed > copied, copied * source.width, NEVER)
    return _all_images(source, target, pixels)


def _all_images(source: Image, target: Image, pixels: Numbers) -> Numbers:
    """Repeats the numbers of the first image's pixels for every image of the batch."""
    images = np.arange(target.batches, dtype=np.int64)[:, None] * source.height * source.width
    return np.where(pixels.reshape(1, -1) == NEVER, NEVER, pixels.reshape(1, -1) + images).reshape(-1)


def _bytes(pixels: Numbers, channels: int) -> Numbers:
    """The first byte of each pixel."""
    return np.where(pixels == NEVER, NEVER, pixels * channels)
