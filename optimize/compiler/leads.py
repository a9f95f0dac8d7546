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

NEVER = 1 << 60
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
    pixels = first_pixels(source, target, window)[:, None]
    reads = np.where(pixels == NEVER, NEVER, pixels % NEVER * source.channels + channels[None, :])
    return element_lead(reads.reshape(-1))


def streaming_lead(source: Image, target: Image, window: Window, *, block: int, copied_rows: bool = False) -> int:
    """The lead of a sliding window that reads all it needs for ``block`` output pixels before it writes any of them.

    A block is a run of pixels of one output row, the last of a row possibly shorter; blocks go in the output's order.
    With ``copied_rows`` the kernel copies each input row to scratch once, when a window first reaches it (whole rows,
    in order), and never reads the input itself again: a row's later uses do not hold the output back.
    """
    starts = _copied_row_starts(source, target, window) if copied_rows else first_pixels(source, target, window)
    rows = starts.reshape(-1, target.width)
    cuts = np.arange(0, target.width, block)
    firsts = np.minimum.reduceat(rows, cuts, axis=1)
    ends = np.minimum(cuts + block, target.width)[None, :] + np.arange(len(rows))[:, None] * target.width
    reads = np.where(firsts == NEVER, NEVER, firsts % NEVER * source.channels)
    return order_lead(ends.reshape(-1).astype(np.int64) * target.channels, reads.reshape(-1))


def first_pixels(source: Image, target: Image, window: Window) -> Numbers:
    """[output pixels of all images] -> number of the first input pixel its window touches, ``NEVER`` for none."""
    rows = _first_inside(target.height, source.height, window, axis=0)
    columns = _first_inside(target.width, source.width, window, axis=1)
    outside = (rows == NEVER)[:, None] | (columns == NEVER)[None, :]
    one = np.where(outside, NEVER, (rows % NEVER * source.width)[:, None] + (columns % NEVER)[None, :])
    images = np.arange(target.batches)[:, None] * source.height * source.width
    return np.where(one.reshape(1, -1) == NEVER, NEVER, one.reshape(1, -1) + images).reshape(-1)


def _first_inside(outputs: int, extent: int, window: Window, *, axis: int) -> Numbers:
    """Along one axis: the first position inside the image of each output's window, ``NEVER`` for none."""
    size, stride, step, pad = (pair[axis] for pair in (window.size, window.stride, window.dilation, window.pad))
    origin = np.arange(outputs, dtype=np.int64) * stride - pad
    taps = np.maximum(-(origin // step), 0)
    first = origin + taps * step
    return np.where((taps < size) & (first < extent), first, NEVER)


def _copied_row_starts(source: Image, target: Image, window: Window) -> Numbers:
    """[output pixels of all images] -> first pixel of the first input row that is new to its output row."""
    origin = np.arange(target.height, dtype=np.int64) * window.stride[0] - window.pad[0]
    reached = np.minimum(origin + (window.size[0] - 1) * window.dilation[0], source.height - 1)
    needed = np.maximum.accumulate(np.maximum(reached + 1, 0))
    copied = np.concatenate([np.zeros(1, np.int64), needed[:-1]])
    one = np.where(needed > copied, copied * source.width, NEVER)
    images = np.arange(target.batches)[:, None] * source.height * source.width
    rows = np.where(one[None, :] == NEVER, NEVER, one[None, :] + images)
    return np.repeat(rows.reshape(-1), target.width)
