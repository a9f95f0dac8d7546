"""Kernel calls: the lowered level of the intermediate representation.

Each class holds what one C kernel of ``firmware/src/nn`` is given, all of it integers computed at compile time, and
names the source file that has to be linked (``SOURCE``, relative to ``firmware/``). A faster kernel for some shapes is
a class more here, a row more in the emitter table and a choice in ``passes/lower.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

MAX_RANK = 6
"""Axes a strided kernel can walk; FLOTA_NN_MAX_RANK in nn.h."""


@dataclass(frozen=True, slots=True)
class Image:
    """A batch of images, NHWC."""

    batches: int
    height: int
    width: int
    channels: int

    @property
    def elements(self) -> int:
        """Number of values."""
        return self.batches * self.height * self.width * self.channels


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window, each pair as (vertical, horizontal). ``pad`` is what precedes the first row and column."""

    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pad: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Requantize:
    """int32 accumulator to int8: multiply by multiplier * 2**(shift - 31) per channel, add the offset, clamp.

    One multiplier and shift stand for all channels where the weights have one scale.
    """

    multipliers: tuple[int, ...]
    shifts: tuple[int, ...]
    offset: int
    clamp: tuple[int, int]


@dataclass(frozen=True, slots=True)
class ConvCall:
    """Weights [out_c][kh][kw][group_channels]."""

    SOURCE: ClassVar[str] = "src/nn/conv.c"
    input: Image
    output: Image
    window: Window
    group_channels: int
    """Input channels one output channel sees; fewer than ``input.channels`` in a grouped convolution."""
    input_offset: int
    requantize: Requantize
    weights: bytes
    bias: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class DepthwiseCall:
    """Weights [kh][kw][out_c]."""

    SOURCE: ClassVar[str] = "src/nn/depthwise.c"
    input: Image
    output: Image
    window: Window
    input_offset: int
    requantize: Requantize
    weights: bytes
    bias: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class FullyConnectedCall:
    """Weights [out_features][in_features]."""

    SOURCE: ClassVar[str] = "src/nn/fully_connected.c"
    batches: int
    in_features: int
    out_features: int
    input_offset: int
    requantize: Requantize
    weights: bytes
    bias: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class PoolCall:
    """``clamp`` bounds the stored result."""

    SOURCE: ClassVar[str] = "src/nn/pool.c"
    kind: Literal["average", "max"]
    input: Image
    output: Image
    window: Window
    clamp: tuple[int, int]


@dataclass(frozen=True, slots=True)
class MeanCall:
    """Output elements walk ``kept``, each sums over ``reduced``; both are (extent, stride) from the outside in."""

    SOURCE: ClassVar[str] = "src/nn/mean.c"
    kept: tuple[tuple[int, int], ...]
    reduced: tuple[tuple[int, int], ...]
    sum_offset: int
    multiplier: int
    shift: int
    output_offset: int


@dataclass(frozen=True, slots=True)
class ElementwiseCall:
    """Broadcast add, sub or mul over ``extents`` with one input stride per axis (0 repeats the element)."""

    SOURCE: ClassVar[str] = "src/nn/elementwise.c"
    kind: Literal["add", "sub", "mul"]
    extents: tuple[int, ...]
    strides: tuple[tuple[int, ...], tuple[int, ...]]
    input_offsets: tuple[int, int]
    input_multipliers: tuple[int, int]
    input_shifts: tuple[int, int]
    multiplier: int
    shift: int
    output_offset: int
    clamp: tuple[int, int]


@dataclass(frozen=True, slots=True)
class PadCall:
    """``extents`` are the input's; ``value`` is the stored int8 that fills the rest."""

    SOURCE: ClassVar[str] = "src/nn/pad.c"
    extents: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    value: int


@dataclass(frozen=True, slots=True)
class TransposeCall:
    """Writes the output in order; ``strides`` step through the input."""

    SOURCE: ClassVar[str] = "src/nn/transpose.c"
    extents: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ConcatCall:
    """Input i is ``rows`` runs of ``row_bytes[i]`` bytes; the output interleaves them."""

    SOURCE: ClassVar[str] = "src/nn/concat.c"
    rows: int
    row_bytes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SoftmaxCall:
    """Softmax of ``rows`` runs of ``depth`` values; inputs reach Q5.26 by the multiplier."""

    SOURCE: ClassVar[str] = "src/nn/softmax.c"
    rows: int
    depth: int
    multiplier: int
    left_shift: int
    diff_min: int


@dataclass(frozen=True, slots=True)
class LookupCall:
    """output[i] = table[input[i] + 128]: any function of one int8."""

    SOURCE: ClassVar[str] = "src/nn/lookup.c"
    count: int
    table: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class QuantizeCall:
    """float32 to int8."""

    SOURCE: ClassVar[str] = "src/nn/quantize.c"
    count: int
    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class DequantizeCall:
    """int8 to float32."""

    SOURCE: ClassVar[str] = "src/nn/quantize.c"
    count: int
    scale: float
    zero_point: int


KernelCall = (
    ConvCall
    | DepthwiseCall
    | FullyConnectedCall
    | PoolCall
    | MeanCall
    | ElementwiseCall
    | PadCall
    | TransposeCall
    | ConcatCall
    | SoftmaxCall
    | LookupCall
    | QuantizeCall
    | DequantizeCall
)
