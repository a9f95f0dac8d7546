"""Kernel calls of ``firmware/src/nn/helium``: Arm cores with the M-profile Vector Extension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optimize.compiler.kernels import ElementwiseCall, Image, Kernel, PoolCall, Window
from optimize.compiler.leads import NEVER, element_lead, first_pixels, order_lead, streaming_lead

BLOCK = 16
"""FLOTA_NN_HELIUM_BLOCK: int8 values in a vector."""

GROUP = 8
"""Channels that are requantized together; per-channel values are padded to whole groups."""

DEPTHWISE_HEIGHT = 16
"""FLOTA_NN_HELIUM_DEPTHWISE_HEIGHT: rows of a depthwise window, at most."""

POOL_TAPS = 255
"""FLOTA_NN_HELIUM_POOL_TAPS: values of an average, at most."""

COLUMNS = 3
"""FLOTA_NN_HELIUM_COLUMNS: output pixels of a step."""

_HEADER = "flota/nn_helium.h"


@dataclass(frozen=True, slots=True)
class HeliumRequantize:
    """What becomes of the sums; see flota_nn_helium_requantize_t. Per-channel values are padded to whole vectors."""

    biases: tuple[int, ...]
    multipliers: tuple[int, ...]
    shifts: tuple[int, ...]
    offset: int
    clamp: tuple[int, int]

    @property
    def plain(self) -> bool:
        """Whether all shifts are to the right, by at least one bit, and the clamp is that of int8."""
        return max(self.shifts) < 0 and self.clamp == (-128, 127)

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return 9 * len(self.biases)


@dataclass(frozen=True, slots=True)
class HeliumGemm:
    """Packed weights of ``channels`` output channels; see flota_nn_helium_gemm_t."""

    channels: int
    blocks: int
    weights: bytes
    requantize: HeliumRequantize

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return len(self.weights) + self.requantize.constant_bytes


class _PanelKernel(Kernel):
    """What the convolutions by way of a panel of output pixels have in common."""

    __slots__ = ()

    SOURCE: ClassVar[str] = "src/nn/helium/conv.c"
    MORE_SOURCES: ClassVar[tuple[str, ...]] = ("src/nn/helium/gemm.c", "src/nn/helium/gemm.S")
    HEADER: ClassVar[str] = _HEADER
    gemm: HeliumGemm

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return self.gemm.constant_bytes

    @property
    def scratch_bytes(self) -> int:
        """The panel."""
        return COLUMNS * BLOCK * self.gemm.blocks


@dataclass(frozen=True, slots=True)
class HeliumConvCall(_PanelKernel):
    """A convolution by way of a panel of output pixels."""

    input: Image
    output: Image
    window: Window
    input_zero: int
    gemm: HeliumGemm

    def lead(self, operand: int) -> int | None:
        """The windows of a step's pixels are copied to the panel before these are written."""
        return streaming_lead(self.input, self.output, self.window, block=COLUMNS, across_rows=True)


@dataclass(frozen=True, slots=True)
class HeliumPointwiseCall(_PanelKernel):
    """A 1x1 convolution with stride 1 over all pixels of the batch."""

    pixels: int
    in_channels: int
    gemm: HeliumGemm

    def lead(self, operand: int) -> int | None:
        """A step's pixels are copied to the panel before they are written."""
        window = Window((1, 1), (1, 1), (1, 1), (0, 0))
        source, target = (Image(1, 1, self.pixels, depth) for depth in (self.in_channels, self.gemm.channels))
        return streaming_lead(source, target, window, block=COLUMNS)


@dataclass(frozen=True, slots=True)
class HeliumDepthwiseCall(Kernel):
    """A depthwise convolution with as many channels out as in; ``weights`` are [group of 8][kh][kw][8]."""

    SOURCE: ClassVar[str] = "src/nn/helium/depthwise.c"
    MORE_SOURCES: ClassVar[tuple[str, ...]] = ("src/nn/helium/depthwise3.S",)
    HEADER: ClassVar[str] = _HEADER
    input: Image
    output: Image
    window: Window
    input_zero: int
    weights: bytes
    requantize: HeliumRequantize

    @property
    def rows(self) -> int:
        """Rows that a window spans."""
        return (self.window.size[0] - 1) * self.window.dilation[0] + 1

    @property
    def columns(self) -> int:
        """Columns that the windows of a row look at, and those of the image behind its border."""
        seen = (self.output.width - 1) * self.window.stride[1] + (self.window.size[1] - 1) * self.window.dilation[1] + 1
        return max(seen, self.window.pad[1] + self.input.width)

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return len(self.weights) + self.requantize.constant_bytes

    @property
    def scratch_bytes(self) -> int:
        """The rows of a window and one of borders, as nn_helium.h says."""
        return (self.rows + 1) * -(-self.input.channels // GROUP) * self.columns * GROUP

    def lead(self, operand: int) -> int | None:
        """Every row is copied to scratch before the first row of outputs that needs it."""
        return streaming_lead(self.input, self.output, self.window, block=self.output.width, copied_rows=True)


@dataclass(frozen=True, slots=True)
class HeliumFullyConnectedCall(Kernel):
    """Fully connected; weights are packed for four channels at a time."""

    SOURCE: ClassVar[str] = "src/nn/helium/fully_connected.c"
    HEADER: ClassVar[str] = _HEADER
    batches: int
    in_features: int
    gemm: HeliumGemm

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return self.gemm.constant_bytes

    @property
    def scratch_bytes(self) -> int:
        """One batch of inputs, in whole vectors."""
        return BLOCK * self.gemm.blocks

    def lead(self, operand: int) -> int | None:
        """A batch is copied to scratch before any of its outputs is written."""
        reads = np.arange(self.batches, dtype=np.int64) * self.in_features
        return element_lead(reads, self.gemm.channels)


@dataclass(frozen=True, slots=True)
class HeliumElementwiseCall(ElementwiseCall):
    """The same for a sum or product without broadcasting, whose shifts are none to the left."""

    SOURCE: ClassVar[str] = "src/nn/helium/elementwise.c"
    HEADER: ClassVar[str] = _HEADER

    def lead(self, operand: int) -> int | None:
        """Groups of values are read before they are written."""
        starts = np.arange(0, self.extents[0], GROUP, dtype=np.int64)
        return order_lead(np.minimum(starts + GROUP, self.extents[0]), starts)


@dataclass(frozen=True, slots=True)
class HeliumLinearCall(Kernel):
    """Sum of two tensors of ``count`` values by a linear function; see ``optimize/compiler/linear.py``."""

    SOURCE: ClassVar[str] = "src/nn/helium/linear.c"
    HEADER: ClassVar[str] = _HEADER
    count: int
    factors: tuple[int, int]
    bias: int
    shift: int
    clamp: tuple[int, int]

    def lead(self, operand: int) -> int | None:
        """Four values are read before they are written."""
        starts = np.arange(0, self.count, 4, dtype=np.int64)
        return order_lead(np.minimum(starts + 4, self.count), starts)


@dataclass(frozen=True, slots=True)
class HeliumPoolCall(PoolCall):
    """The same, eight channels at a time."""

    SOURCE: ClassVar[str] = "src/nn/helium/pool.c"
    HEADER: ClassVar[str] = _HEADER

    def lead(self, operand: int) -> int | None:
        """The windows of a group of channels are read before its outputs are written."""
        channels = self.output.channels
        groups = np.arange(0, channels, GROUP, dtype=np.int64)
        pixels = first_pixels(self.input, self.output, self.window)[:, None]
        reads = np.where(pixels == NEVER, NEVER, pixels * channels + groups)
        written = np.arange(len(reads), dtype=np.int64)[:, None] * channels + np.minimum(groups + GROUP, channels)
        return order_lead(written.reshape(-1), reads.reshape(-1))
