"""Kernel calls of ``firmware/src/nn/dsp``: Arm cores with the DSP extension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from optimize.compiler.kernels import Image, Kernel, Window
from optimize.compiler.leads import streaming_lead

WORD_BYTES = 4
PANEL_SOURCE = "src/nn/dsp/panel.c"

CLAMP_SOURCE = "src/nn/dsp/clamp.c"
"""Where a narrower clamp than int8 is done, over the finished output, for kernels without one of their own."""


def words(size: int) -> int:
    """``size`` bytes, rounded up to whole words."""
    return -(-size // WORD_BYTES) * WORD_BYTES


Four = tuple[int, int, int, int]
Product = Literal["twice", "once", "s16", "wide"]
"""How a product is rounded and packed; gemm.h describes all of them."""


@dataclass(frozen=True, slots=True)
class Gemm:
    """Packed weights and what becomes of the sums; see flota_nn_dsp_gemm_t.

    ``biases`` are modulo 2**32; the words of one entry of ``factors`` stand for all groups where these agree.
    """

    product: Product
    weights: bytes
    biases: tuple[Four, ...]
    factors: tuple[tuple[int, ...], ...]
    channels: int
    pairs: int
    output_zero: int
    clamp: tuple[int, int]

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return len(self.weights) + 4 * WORD_BYTES * len(self.biases) + WORD_BYTES * sum(map(len, self.factors))

    @property
    def source(self) -> str:
        """The file of the matrix product."""
        return "src/nn/dsp/gemm_wide.c" if self.product == "wide" else "src/nn/dsp/gemm.S"

    @property
    def panel_bytes(self) -> int:
        """Scratch for two columns of inputs."""
        return 2 * WORD_BYTES * self.pairs


class _GemmKernel(Kernel):
    """What the kernels on a packed matrix product have in common."""

    __slots__ = ()

    HEADER: ClassVar[str] = "flota/nn_dsp.h"
    gemm: Gemm

    @property
    def sources(self) -> tuple[str, ...]:
        """The kernel and its matrix product."""
        return (self.SOURCE, *self.MORE_SOURCES, self.gemm.source)

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return self.gemm.constant_bytes


@dataclass(frozen=True, slots=True)
class DspConvCall(_GemmKernel):
    """A convolution by way of a panel of two output pixels."""

    SOURCE: ClassVar[str] = "src/nn/dsp/conv.c"
    MORE_SOURCES: ClassVar[tuple[str, ...]] = (PANEL_SOURCE,)
    input: Image
    output: Image
    window: Window
    output_steps: tuple[int, int, int]
    """Bytes from one output pixel, row and image to the next."""
    run_bytes: int
    runs_per_row: int
    input_zero: int
    gemm: Gemm

    @property
    def scratch_bytes(self) -> int:
        """As nn_dsp.h asks."""
        return self.gemm.panel_bytes + words(self.run_bytes) + words(self.output.channels)

    def lead(self, operand: int) -> int | None:
        """The windows of two pixels are copied to the panel before the two are written."""
        return streaming_lead(self.input, self.output, self.window, block=2, across_rows=True)


@dataclass(frozen=True, slots=True)
class DspConvPart:
    """A convolution that reads from and writes to places within the tensors, which are given in bytes."""

    input_offset: int
    output_offset: int
    conv: DspConvCall


@dataclass(frozen=True, slots=True)
class DspConvPartsCall(Kernel):
    """A transposed convolution as one convolution for each phase of its stride, or a grouped one group by group.

    Of a transposed one, every ``stride``-th output row and column sees the same taps, one input pixel apart.
    """

    SOURCE: ClassVar[str] = DspConvCall.SOURCE
    HEADER: ClassVar[str] = DspConvCall.HEADER
    parts: tuple[DspConvPart, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """The kernel and its matrix products."""
        return tuple(sorted({source for part in self.parts for source in part.conv.sources}))

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return sum(part.conv.constant_bytes for part in self.parts)

    @property
    def scratch_bytes(self) -> int:
        """As nn_dsp.h asks."""
        return max(part.conv.scratch_bytes for part in self.parts)


@dataclass(frozen=True, slots=True)
class DspPointwiseCall(_GemmKernel):
    """A 1x1 convolution with stride 1 over all pixels of the batch."""

    SOURCE: ClassVar[str] = "src/nn/dsp/pointwise.c"
    MORE_SOURCES: ClassVar[tuple[str, ...]] = (PANEL_SOURCE,)
    pixels: int
    in_channels: int
    out_channels: int
    gemm: Gemm

    @property
    def scratch_bytes(self) -> int:
        """As nn_dsp.h asks."""
        return self.gemm.panel_bytes + words(self.out_channels)

    def lead(self, operand: int) -> int | None:
        """Two pixels are copied to the panel before two are written; the last step reads nothing later."""
        before_last = (self.pixels - 1) // 2 * 2
        if before_last == 0:
            return -self.pixels * self.out_channels
        growth = self.out_channels - self.in_channels
        return growth * (before_last if growth > 0 else 2)


@dataclass(frozen=True, slots=True)
class DspFullyConnectedCall(_GemmKernel):
    """A matrix times ``batches`` vectors."""

    SOURCE: ClassVar[str] = "src/nn/dsp/fully_connected.c"
    batches: int
    in_features: int
    out_features: int
    gemm: Gemm

    @property
    def scratch_bytes(self) -> int:
        """As nn_dsp.h asks."""
        return words(self.in_features) if self.in_features % 4 else 0
