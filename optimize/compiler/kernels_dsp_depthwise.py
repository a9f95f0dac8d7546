"""Depthwise kernel calls of ``firmware/src/nn/dsp``: Arm cores with the DSP extension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optimize.compiler.kernels import DepthwiseCall, Image, Kernel
from optimize.compiler.kernels_dsp import CLAMP_SOURCE

CHANNEL_BYTES = 17
"""sizeof(flota_nn_dsp_depthwise3_channel_t), and the top of its bias"""

TURNS = 8
"""FLOTA_NN_DSP_DEPTHWISE3_TURNS"""

COLUMN_BYTES = 4 * 4 * (TURNS + 1)
"""Bytes of scratch a column of the planes takes."""


@dataclass(frozen=True, slots=True)
class Channel3:
    """One channel of a 3x3 convolution; see flota_nn_dsp_depthwise3_channel_t. The bias is not in ``weights`` yet."""

    weights: tuple[int, int, int]
    bias: int
    multiplier: int


EXACT_BYTES = 16
"""sizeof(flota_nn_dsp_depthwise3_exact_t)"""


FEW = 16
"""Below one in so many channels that are rounded twice, 370 bytes of slow code do; the fast one has 1,900."""

EXACT_SOURCES = {
    "flota_nn_dsp_depthwise3_exact_few": ("depthwise3_exact_few.c",),
    "flota_nn_dsp_depthwise3_exact": ("depthwise3_exact.c", "depthwise3_exact.S"),
}
"""Function -> its sources."""


@dataclass(frozen=True, slots=True)
class Exact3:
    """A channel that is rounded twice; see flota_nn_dsp_depthwise3_exact_t. ``shift`` is to the right."""

    bias: int
    multiplier: int
    shift: int


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of an image under a window of 3: extents in pixels, steps in bytes."""

    extent: int
    out_extent: int
    step: int
    out_step: int
    pad: int


def planes_bytes(columns: Axis, stride: int) -> int:
    """Scratch for the planes of four channels, a band of rows high."""
    return COLUMN_BYTES * ((columns.out_extent - 1) * stride + 3)


@dataclass(frozen=True, slots=True)
class DspDepthwise3Call(Kernel):
    """A 3x3 depthwise convolution; see flota_nn_dsp_depthwise3_t for what rows and columns are."""

    SOURCE: ClassVar[str] = "src/nn/dsp/depthwise3.c"
    MORE_SOURCES: ClassVar[tuple[str, ...]] = ("src/nn/dsp/depthwise3.S", CLAMP_SOURCE)
    HEADER: ClassVar[str] = "flota/nn_dsp_depthwise.h"
    input: Image
    output: Image
    rows: Axis
    columns: Axis
    stride: int
    input_zero: int
    clamp: tuple[int, int]
    output_zero: int
    channels: tuple[Channel3, ...]
    exact: tuple[Exact3, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """The code for channels that are rounded twice is linked only where there are any."""
        names = () if self.run_exact is None else EXACT_SOURCES[self.run_exact]
        return (self.SOURCE, *self.MORE_SOURCES, *(f"src/nn/dsp/{name}" for name in names))

    @property
    def run_exact(self) -> str | None:
        """The function for channels that are rounded twice; None where there are none."""
        if not self.exact:
            return None
        few = FEW * len(self.exact) < len(self.channels)
        return "flota_nn_dsp_depthwise3_exact_few" if few else "flota_nn_dsp_depthwise3_exact"

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return CHANNEL_BYTES * len(self.channels) + EXACT_BYTES * len(self.exact)

    @property
    def scratch_bytes(self) -> int:
        """The planes of four channels, a band of rows high."""
        return planes_bytes(self.columns, self.stride)

    def lead(self, operand: int) -> int | None:
        """Any overlap where the sizes agree, else exactly in place where no band's output reaches what is still read.

        The kernel first moves an input of the output's size that overlaps it otherwise than exactly. Then every channel
        is its own problem: a band of its rows is copied before the same rows are written, with those the next band
        shares.
        """
        if self.input == self.output:
            return -self.output.elements
        return 0 if self._stays_behind() else None

    @property
    def exact_lead(self) -> bool:
        """An image that shrinks is not moved, and channels must not meet each other."""
        return self.input != self.output

    def _stays_behind(self) -> bool:
        """Whether the rows of each band, written from the input's first byte on, end before the rows read after it."""
        along_rows = self.rows.step >= self.columns.step and self.output.elements <= self.input.elements
        made = 2 * TURNS // self.stride
        for band in range(1, -(-self.rows.out_extent // made)):
            written = band * made * self.rows.out_step
            first_read = max(band * 2 * TURNS - self.rows.pad + 2, 0) * self.rows.step
            along_rows = along_rows and written <= first_read
        return along_rows


@dataclass(frozen=True, slots=True)
class DspDepthwiseCall(Kernel):
    """Any depthwise convolution, four channels at a time; see flota_nn_dsp_depthwise_t.

    ``portable`` has the geometry, ``weights`` may be zero where its are not: in channels that never change. ``shifts``
    is None where one multiplication is exact for all channels.
    """

    SOURCE: ClassVar[str] = "src/nn/dsp/depthwise.c"
    MORE_SOURCES: ClassVar[tuple[str, ...]] = (CLAMP_SOURCE,)
    HEADER: ClassVar[str] = "flota/nn_dsp_depthwise.h"
    portable: DepthwiseCall
    weights: bytes
    biases: tuple[int, ...]
    multipliers: tuple[int, ...]
    shifts: tuple[int, ...] | None

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return len(self.weights) + 8 * len(self.biases) + len(self.shifts or ())

    def lead(self, operand: int) -> int | None:
        """As the portable kernel: the windows of four channels are read before the four values are written."""
        return self.portable.lead(operand)
