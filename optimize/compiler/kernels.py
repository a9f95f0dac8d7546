"""Kernel calls: the lowered level of the intermediate representation.

Each class holds what one C kernel of ``firmware/src/nn`` is given, all of it integers computed at compile time, and
names the source files that have to be linked. A faster kernel for some shapes is one more subclass of ``Kernel``, a
row more in the emitter table and a choice in a pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

MAX_RANK = 6
"""Axes a strided kernel can walk; FLOTA_NN_MAX_RANK in nn.h."""


class Kernel:
    """What every kernel call inherits: the files to link, and what it asks of the memory plan.

    Subclasses are frozen slots dataclasses; they override the properties and ``lead`` where the defaults are too weak.
    """

    __slots__ = ()

    SOURCE: ClassVar[str]
    """The C or assembly file of the kernel, relative to ``firmware/``."""

    MORE_SOURCES: ClassVar[tuple[str, ...]] = ()
    """Further files to link with it."""

    @property
    def sources(self) -> tuple[str, ...]:
        """All files to link for this call, relative to ``firmware/``."""
        return (self.SOURCE, *self.MORE_SOURCES)

    @property
    def scratch_bytes(self) -> int:
        """Arena bytes the kernel needs while it runs, aligned as tensors are; ``operands.scratch`` in the emitter.

        They share no byte with any input or output of the call, and hold nothing before or after it.
        """
        return 0

    def lead(self, operand: int) -> int | None:
        """Whether output 0 may be written over input ``operand`` (its place in ``op.inputs``) when that dies here.

        None: they must not share a byte. Otherwise every plan is allowed in which the input starts at least this many
        bytes *after* the output: ``input address - output address >= lead``. So 0 allows plain in place, a positive
        lead an output that grows over its input from below, and a negative lead (a kernel that has consumed that many
        bytes before its first write) an output that starts inside its input. Kernels therefore run from low to high
        addresses.

        The proof to give: at every moment, each byte of the input still to be read lies at an address not yet
        written. With output byte w (counted from the output's start) written before input byte r is read for the last
        time, that is ``lead > w - r`` for all such pairs (w, r). The kernel may use no ``restrict`` on the two, and
        reads of scratch or of other operands do not count: those never overlap the output unless their own ``lead``
        says so.
        """
        return None


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
class ConvCall(Kernel):
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
class DepthwiseCall(Kernel):
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
class FullyConnectedCall(Kernel):
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
class PoolCall(Kernel):
    """``clamp`` bounds the stored result."""

    SOURCE: ClassVar[str] = "src/nn/pool.c"
    kind: Literal["average", "max"]
    input: Image
    output: Image
    window: Window
    clamp: tuple[int, int]


@dataclass(frozen=True, slots=True)
class MeanCall(Kernel):
    """Output elements walk ``kept``, each sums over ``reduced``; both are (extent, stride) from the outside in."""

    SOURCE: ClassVar[str] = "src/nn/mean.c"
    kept: tuple[tuple[int, int], ...]
    reduced: tuple[tuple[int, int], ...]
    sum_offset: int
    multiplier: int
    shift: int
    output_offset: int


@dataclass(frozen=True, slots=True)
class ElementwiseCall(Kernel):
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
class PadCall(Kernel):
    """``extents`` are the input's; ``value`` is the stored int8 that fills the rest."""

    SOURCE: ClassVar[str] = "src/nn/pad.c"
    extents: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    value: int


@dataclass(frozen=True, slots=True)
class TransposeCall(Kernel):
    """Writes the output in order; ``strides`` step through the input."""

    SOURCE: ClassVar[str] = "src/nn/transpose.c"
    extents: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ConcatCall(Kernel):
    """Input i is ``rows`` runs of ``row_bytes[i]`` bytes; the output interleaves them."""

    SOURCE: ClassVar[str] = "src/nn/concat.c"
    rows: int
    row_bytes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SoftmaxCall(Kernel):
    """Softmax of ``rows`` runs of ``depth`` values; inputs reach Q5.26 by the multiplier."""

    SOURCE: ClassVar[str] = "src/nn/softmax.c"
    rows: int
    depth: int
    multiplier: int
    left_shift: int
    diff_min: int


@dataclass(frozen=True, slots=True)
class LookupCall(Kernel):
    """output[i] = table[input[i] + 128]: any function of one int8."""

    SOURCE: ClassVar[str] = "src/nn/lookup.c"
    count: int
    table: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class QuantizeCall(Kernel):
    """float32 to int8."""

    SOURCE: ClassVar[str] = "src/nn/quantize.c"
    count: int
    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class DequantizeCall(Kernel):
    """int8 to float32."""

    SOURCE: ClassVar[str] = "src/nn/quantize.c"
    count: int
    scale: float
    zero_point: int


KernelCall = Kernel
"""The payload of a lowered operator."""
