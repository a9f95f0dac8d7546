"""When a depthwise convolution goes to the DSP extension's kernel for windows larger than 3x3."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optimize.compiler.depthwise_packing import pack_plane
from optimize.compiler.exact_scaling import MOST_CHANNELS
from optimize.compiler.kernels import DepthwiseCall, Kernel
from optimize.compiler.kernels_dsp_depthwise import Axis
from optimize.compiler.kernels_dsp_plane import (
    FAST_TAPS,
    STRIDES,
    DspDepthwisePlaneCall,
    Plane,
    plane_of,
    plane_scratch_bytes,
    plane_taps,
)
from optimize.compiler.passes.choose_depthwise import SMALL_SCRATCH, axes_of

WORTH_IT = 0.9
"""Share of the general kernel's cycles: the loops are linked for it, 1.6 KB with what they need."""


def choose_depthwise_plane(call: DepthwiseCall) -> Kernel | None:
    """Where it is exact, its scratch small, and its cycles, estimated, are fewer than the general kernel's."""
    call = crop_window(call)
    filters = call.output.channels // call.input.channels
    limit = max(SMALL_SCRATCH, call.input.elements)
    fitting = [way for way in find_ways(call) if way.scratch_bytes <= limit]
    if not fitting:
        return None
    way = min(fitting, key=lambda one: one.cycles(filters))
    faster = way.cycles(filters) * call.input.channels < WORTH_IT * general_cycles(call)
    return lay(call, way) if faster else None


def find_ways(call: DepthwiseCall) -> tuple[Way, ...]:
    """How its image can be laid for the kernel: both ways, one, or none."""
    if call.output.channels > MOST_CHANNELS or call.window.dilation != (1, 1):
        return ()
    vertical, horizontal = axes_of(call)
    size, stride = call.window.size, call.window.stride
    both = (
        Way(vertical, horizontal, size, stride, across=False),
        Way(horizontal, vertical, (size[1], size[0]), (stride[1], stride[0]), across=True),
    )
    return tuple(way for way in both if way.possible)


def lay(call: DepthwiseCall, way: Way) -> Kernel | None:
    """The kernel's call, or None where it cannot be exact."""
    packed = pack_plane(call, transposed=way.across)
    if packed is None:
        return None
    return DspDepthwisePlaneCall(
        input=call.input,
        output=call.output,
        rows=way.rows,
        columns=way.columns,
        taps=plane_taps(way.window[0]),
        window_columns=way.window[1],
        strides=way.strides,
        input_zero=-call.input_offset,
        clamp=call.requantize.clamp,
        output_zero=call.requantize.offset,
        weights=packed.weights,
        biases=packed.biases,
        multipliers=packed.multipliers,
        shifts=packed.shifts,
    )


def crop_window(call: DepthwiseCall) -> DepthwiseCall:
    """Without the rows and columns of the window that lie outside the image for every output."""
    if call.window.dilation != (1, 1):
        return call
    image, out, window = call.input, call.output, call.window
    vertical = _reached(image.height, out.height, window.size[0], window.stride[0], window.pad[0])
    horizontal = _reached(image.width, out.width, window.size[1], window.stride[1], window.pad[1])
    size = (len(vertical), len(horizontal))
    if size == window.size or 0 in size:
        return call
    weights = np.frombuffer(call.weights, np.int8).reshape(*window.size, -1)
    kept = weights[vertical.start : vertical.stop, horizontal.start : horizontal.stop]
    pad = (window.pad[0] - vertical.start, window.pad[1] - horizontal.start)
    return replace(call, weights=kept.tobytes(), window=replace(window, size=size, pad=pad))


def _reached(extent: int, out_extent: int, size: int, stride: int, pad: int) -> range:
    """The taps that some output has inside the image."""
    last = (out_extent - 1) * stride - pad
    return range(max(0, -last), min(size, extent + pad))


def general_cycles(call: DepthwiseCall) -> int:
    """Cycles of the general kernel, fitted to those of 24 layers: it looks at what lies inside the image only."""
    image, out, window = call.input, call.output, call.window
    rows = _taps_inside(image.height, out.height, window.size[0], window.stride[0], window.pad[0])
    columns = _taps_inside(image.width, out.width, window.size[1], window.stride[1], window.pad[1])
    together = out.channels // 4 if out.channels == image.channels else 0
    single = out.channels - 4 * together
    pixels = out.height * out.width
    turns = rows * out.width if columns > out.width else pixels  # one column: its rows are the inner loop
    return (
        160 * pixels
        + together * (17 * rows * columns + 25 * turns + 57 * pixels)
        + single * (12 * rows * columns + 75 * pixels)
    )


def _taps_inside(extent: int, out_extent: int, size: int, stride: int, pad: int) -> int:
    """Of all outputs along one axis together."""
    origins = np.arange(out_extent, dtype=np.int64) * stride - pad
    inside = np.minimum(origins + size, extent) - np.maximum(origins, 0)
    return int(np.maximum(inside, 0).sum())


@dataclass(frozen=True, slots=True)
class Way:
    """One of the two ways to lay an image: its axes, and window and strides along them, rows first."""

    rows: Axis
    columns: Axis
    window: tuple[int, int]
    strides: tuple[int, int]
    across: bool
    """Whether rows are the image's columns."""

    @property
    def plane(self) -> Plane:
        """What a channel is brought into."""
        return plane_of(self.rows, self.columns, self.window, self.strides)

    @property
    def scratch_bytes(self) -> int:
        """With the packed weights."""
        return plane_scratch_bytes(self.plane, self.window)

    @property
    def possible(self) -> bool:
        """Whether there are loops for it, and every border has a part of the image beside it."""
        plane = self.plane
        seen = self.rows.pad < 2 * plane.words and self.columns.pad < plane.columns
        return self.strides[0] in STRIDES and seen

    def cycles(self, filters: int) -> int:
        """Cycles of one channel, estimated from the disassembly: the copy, the weights, the loops."""
        plane, extent = self.plane, self.rows.out_extent
        taps = plane_taps(self.window[0])
        fours, twos = (extent + 1) // 4, int(extent % 4 in (1, 2))
        for_four, for_two = _column_cycles(taps, self.strides[0], loop=(*self.window, self.strides[0]) != (5, 5, 1))
        turns = fours * (57 + self.window[1] * for_four) + twos * (45 + self.window[1] * for_two)
        copied = min(plane.columns, self.columns.extent) * (28 + 8 * min(plane.words, self.rows.extent // 2))
        weights = self.window[1] * (12 + 10 * taps)
        return 150 + copied + filters * (300 + weights + self.columns.out_extent * turns)


def _column_cycles(taps: int, stride: int, *, loop: bool) -> tuple[int, int]:
    """Those of one column of the window, for four outputs and for two; without a loop for four of 5x5."""
    words = (taps + 1) // 2
    if taps not in FAST_TAPS:
        return 14 * words + 15, 12 * words + 15
    return (8 * words + (7 if loop else -1), 6 * words + 4) if stride == 1 else (6 * words + 13, 4 * words + 8)
