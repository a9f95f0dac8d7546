"""The depthwise kernel of ``firmware/src/nn/dsp`` for windows larger than 3x3: one channel at a time, from a plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optimize.compiler.kernels import Image, Kernel
from optimize.compiler.kernels_dsp import CLAMP_SOURCE
from optimize.compiler.kernels_dsp_depthwise import Axis

FAST_TAPS = (3, 5, 7, 9)
"""Heights of the window that have loops of their own."""

STRIDES = (1, 2)
"""Down the columns; across them any stride will do."""


@dataclass(frozen=True, slots=True)
class Plane:
    """What a channel is brought into: columns of words, each of which holds two rows. Borders are included."""

    words: int
    columns: int

    @property
    def bytes(self) -> int:
        """Size in scratch."""
        return 4 * self.words * self.columns


def plane_taps(rows: int) -> int:
    """Weights of a column as the kernel takes them: an odd number, so that the last one may be zero."""
    return rows | 1


def plane_of(rows: Axis, columns: Axis, window: tuple[int, int], strides: tuple[int, int]) -> Plane:
    """The plane under all windows of (rows, columns), strides alike. Rows are made in pairs, the last may be extra."""
    pairs = (rows.out_extent + 1) // 2
    words = plane_taps(window[0]) // 2 + (pairs if strides[0] == 1 else 2 * pairs)
    return Plane(words, (columns.out_extent - 1) * strides[1] + window[1])


def plane_scratch_bytes(plane: Plane, window: tuple[int, int]) -> int:
    """Scratch for the plane and the packed weights of a filter with a window of (rows, columns)."""
    return plane.bytes + 4 * window[1] * (plane_taps(window[0]) + 1)


@dataclass(frozen=True, slots=True)
class DspDepthwisePlaneCall(Kernel):
    """A depthwise convolution; see flota_nn_dsp_depthwise_plane_t for what rows and columns are.

    ``weights`` is [output channel][window column][tap], ``taps`` the odd number of weights of a column. ``shifts`` is
    None, or a shift for each channel that is rounded twice and 0 for the others.
    """

    SOURCE: ClassVar[str] = "src/nn/dsp/depthwise_plane.c"
    HEADER: ClassVar[str] = "flota/nn_dsp_depthwise.h"
    input: Image
    output: Image
    rows: Axis
    columns: Axis
    taps: int
    window_columns: int
    strides: tuple[int, int]
    input_zero: int
    clamp: tuple[int, int]
    output_zero: int
    weights: bytes
    biases: tuple[int, ...]
    multipliers: tuple[int, ...]
    shifts: tuple[int, ...] | None

    @property
    def sources(self) -> tuple[str, ...]:
        """Only the loops it needs are linked."""
        return (self.SOURCE, f"src/nn/dsp/depthwise_plane_{self._loops}.c", CLAMP_SOURCE)

    @property
    def run(self) -> str:
        """The function with its loops."""
        return f"flota_nn_dsp_depthwise_plane_{self._loops}"

    @property
    def _loops(self) -> str:
        if (self.taps, self.window_columns, self.strides[0]) == (5, 5, 1):
            return "5x5"
        return (str(self.taps) if self.taps in FAST_TAPS else "any") + ("_2" if self.strides[0] == 2 else "")

    @property
    def plane(self) -> Plane:
        """Where a channel goes."""
        return plane_of(self.rows, self.columns, (self.taps, self.window_columns), self.strides)

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return len(self.weights) + 8 * len(self.biases) + len(self.shifts or ())

    @property
    def scratch_bytes(self) -> int:
        """The plane and the packed weights of a filter."""
        return plane_scratch_bytes(self.plane, (self.taps, self.window_columns))

    def lead(self, operand: int) -> int | None:
        """Exactly in place with one filter for each channel, of one image or of images that do not grow.

        A channel is copied whole before it is written, and in place what it is written over is that channel: the same
        remainder of the address by the number of channels. Later images lie behind all that is written before them.
        """
        if self.input.channels != self.output.channels:
            return None
        grows = self.output.elements > self.input.elements
        return None if grows and self.input.batches > 1 else 0

    @property
    def exact_lead(self) -> bool:
        """Shifted against each other, channels would meet."""
        return True
