"""Kernel calls: the lowered level of the intermediate representation.

Each class holds what one C kernel of ``firmware/src/nn`` is given, all of it integers computed at compile time, and
names the source files that have to be linked. A faster kernel for some shapes is one more subclass of ``Kernel``, a
row more in the emitter table and a choice in a pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Protocol

import numpy as np

from optimize.compiler.leads import NEVER, Numbers, element_lead, window_lead

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

    HEADER: ClassVar[str] = "flota/nn.h"
    """The header that declares it, relative to ``firmware/include``."""

    @property
    def constant_bytes(self) -> int:
        """Bytes of weights, biases, factors and tables in flash, without the fixed parameters."""
        return 0

    def __init_subclass__(cls) -> None:
        """Refuse a class for another C file that inherits the overlaps proven for its parent's."""
        if "SOURCE" in vars(cls) and "lead" not in vars(cls) and cls.lead is not Kernel.lead:
            raise TypeError(f"{cls.__name__}: {cls.SOURCE} reads and writes in its own order; define lead()")

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

    @property
    def exact_lead(self) -> bool:
        """Whether only the smallest multiple of the alignment from ``lead`` on is safe, and nothing above it.

        For kernels that go through the data several times, such as channel by channel: each pass overwrites in place
        what it alone reads.
        """
        return False


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

    def of(self, channel: int) -> tuple[int, int]:
        """(multiplier, shift) of an output channel."""
        index = channel if len(self.multipliers) > 1 else 0
        return self.multipliers[index], self.shifts[index]

    def part(self, channels: slice) -> Requantize:
        """That of some output channels."""
        if len(self.multipliers) == 1:
            return self
        return replace(self, multipliers=self.multipliers[channels], shifts=self.shifts[channels])


class Weighted(Protocol):
    """A call with weights, biases and factors as the model file has them."""

    @property
    def weights(self) -> bytes:
        """In the kernel's order."""

    @property
    def bias(self) -> tuple[int, ...] | None:
        """One for each output channel."""

    @property
    def requantize(self) -> Requantize:
        """What becomes of the sums."""


def weighted_bytes(call: Weighted) -> int:
    """Bytes of its constants in flash."""
    return len(call.weights) + 4 * len(call.bias or ()) + 5 * len(call.requantize.multipliers)


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

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return weighted_bytes(self)

    def lead(self, operand: int) -> int | None:
        """Every value reads its window in its group's channels, then is written."""
        groups = self.input.channels // self.group_channels
        per_group = self.output.channels // groups
        channels = np.repeat(np.arange(groups, dtype=np.int64) * self.group_channels, per_group)
        return window_lead(self.input, self.output, self.window, channels)


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

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return weighted_bytes(self)

    def lead(self, operand: int) -> int | None:
        """Every value reads its window in one channel, then is written."""
        channels = np.arange(self.output.channels, dtype=np.int64) * self.input.channels // self.output.channels
        return window_lead(self.input, self.output, self.window, channels)


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

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return weighted_bytes(self)

    def lead(self, operand: int) -> int | None:
        """Every value reads all features of its batch, then is written."""
        return element_lead(np.repeat(np.arange(self.batches, dtype=np.int64) * self.in_features, self.out_features))


@dataclass(frozen=True, slots=True)
class PoolCall(Kernel):
    """``clamp`` bounds the stored result."""

    SOURCE: ClassVar[str] = "src/nn/pool.c"
    kind: Literal["average", "max"]
    input: Image
    output: Image
    window: Window
    clamp: tuple[int, int]

    def lead(self, operand: int) -> int | None:
        """Every value reads its window in its channel, then is written."""
        return window_lead(self.input, self.output, self.window, np.arange(self.output.channels, dtype=np.int64))


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

    def lead(self, operand: int) -> int | None:
        """Every value reads what it sums, from its place among ``kept`` on, then is written."""
        return element_lead(walk_places(self.kept))


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

    def lead(self, operand: int) -> int | None:
        """Every value reads one element of each input, then is written."""
        return walk_lead(self.extents, self.strides[operand])


@dataclass(frozen=True, slots=True)
class PadCall(Kernel):
    """``extents`` are the input's; ``value`` is the stored int8 that fills the rest."""

    SOURCE: ClassVar[str] = "src/nn/pad.c"
    extents: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    value: int

    def lead(self, operand: int) -> int | None:
        """Run by run: fills what precedes it, then moves the run, which may overlap itself (memmove)."""
        rows = walk_places(tuple(zip(self.extents[:-1], self._row_strides(), strict=True)))
        run = self.extents[-1]
        return _runs_lead(rows + self._origin(), run)

    def _padded(self) -> tuple[int, ...]:
        return tuple(sum(axis) for axis in zip(self.extents, self.before, self.after, strict=True))

    def _row_strides(self) -> tuple[int, ...]:
        """Output elements from one input run to the next, along every axis but the last."""
        padded = self._padded()
        return tuple(math.prod(padded[axis + 1 :]) for axis in range(len(padded) - 1))

    def _origin(self) -> int:
        """Output place of the first input element."""
        return sum(b * s for b, s in zip(self.before, (*self._row_strides(), 1), strict=True))


@dataclass(frozen=True, slots=True)
class TransposeCall(Kernel):
    """Writes the output in order; ``strides`` step through the input."""

    SOURCE: ClassVar[str] = "src/nn/transpose.c"
    extents: tuple[int, ...]
    strides: tuple[int, ...]

    def lead(self, operand: int) -> int | None:
        """Every value is read, then written."""
        return walk_lead(self.extents, self.strides)


@dataclass(frozen=True, slots=True)
class ConcatCall(Kernel):
    """Input i is ``rows`` runs of ``row_bytes[i]`` bytes; the output interleaves them."""

    SOURCE: ClassVar[str] = "src/nn/concat.c"
    rows: int
    row_bytes: tuple[int, ...]

    def lead(self, operand: int) -> int | None:
        """One input after the other, run by run; a run may overlap itself (memmove)."""
        stride, start, run = sum(self.row_bytes), sum(self.row_bytes[:operand]), self.row_bytes[operand]
        rows = np.arange(self.rows, dtype=np.int64)
        written = np.where(rows > 0, (rows - 1) * stride + start + run, 0)
        if operand > 0:
            written = np.maximum(written, (self.rows - 1) * stride + start)
        return _runs_lead(written, run)


@dataclass(frozen=True, slots=True)
class SoftmaxCall(Kernel):
    """Softmax of ``rows`` runs of ``depth`` int8 values to ``target``; inputs reach Q5.26 by the multiplier."""

    SOURCE: ClassVar[str] = "src/nn/softmax.c"
    MORE_SOURCES: ClassVar[tuple[str, ...]] = ("src/nn/exponential.c",)
    rows: int
    depth: int
    multiplier: int
    left_shift: int
    diff_min: int
    target: Literal["int8", "int16"] = "int8"

    def lead(self, operand: int) -> int | None:
        """A value is last read right before it is written in its place; int8_t loads may alias an int16_t."""
        values = np.arange(self.rows * self.depth, dtype=np.int64)
        return 0 if self.target == "int8" else element_lead(values, bytes_each=2)


@dataclass(frozen=True, slots=True)
class SoftmaxTableCall(Kernel):
    """Softmax of ``rows`` runs of ``depth`` int8 values; ``exponentials`` of minus so many steps as still count, Q0."""

    SOURCE: ClassVar[str] = "src/nn/softmax_table.c"
    MORE_SOURCES: ClassVar[tuple[str, ...]] = ("src/nn/exponential.c",)
    rows: int
    depth: int
    exponentials: tuple[int, ...]

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return 4 * len(self.exponentials)

    def lead(self, operand: int) -> int | None:
        """A value is last read right before it is written in its place."""
        return 0


@dataclass(frozen=True, slots=True)
class LookupCall(Kernel):
    """output[i] = table[input[i] + 128]: any function of one int8."""

    SOURCE: ClassVar[str] = "src/nn/lookup.c"
    count: int
    table: tuple[int, ...]

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return len(self.table)

    def lead(self, operand: int) -> int | None:
        """Every value is read, then written in its place."""
        return 0


@dataclass(frozen=True, slots=True)
class QuantizeCall(Kernel):
    """float32 to int8 or int16."""

    SOURCE: ClassVar[str] = "src/nn/quantize.c"
    count: int
    scale: float
    zero_point: int
    target: Literal["int8", "int16"] = "int8"

    def lead(self, operand: int) -> int | None:
        """Every float is read, then its int8 is written; int8_t stores may alias floats, int16_t stores may not."""
        if self.target != "int8":
            return None
        return element_lead(np.arange(self.count, dtype=np.int64) * 4)


@dataclass(frozen=True, slots=True)
class DequantizeCall(Kernel):
    """int8, uint8 or int16 to float32."""

    SOURCE: ClassVar[str] = "src/nn/quantize.c"
    count: int
    scale: float
    zero_point: int
    source: Literal["int8", "uint8", "int16"] = "int8"

    def lead(self, operand: int) -> int | None:
        """Every byte is read, then its float is written; loads of bytes may alias floats, those of int16_t may not."""
        if self.source == "int16":
            return None
        return element_lead(np.arange(self.count, dtype=np.int64), bytes_each=4)


def walk_places(axes: tuple[tuple[int, int], ...]) -> Numbers:
    """Places of nested loops over (extent, stride) axes, the last the innermost, in the order they are visited."""
    places = np.zeros(1, np.int64)
    for extent, stride in axes:
        places = (places[:, None] + np.arange(extent, dtype=np.int64) * stride).reshape(-1)
    return places


def walk_lead(extents: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """The lead of a kernel that writes int8 in order, each after the one element it reads at ``strides``."""
    return element_lead(walk_places(tuple(zip(extents, strides, strict=True))))


def _runs_lead(written: Numbers, run: int) -> int:
    """The lead of moving runs of ``run`` bytes one by one, ``written[k]`` output bytes being written before run k."""
    firsts = np.arange(len(written), dtype=np.int64) * run
    return int((written - firsts)[written > 0].max(initial=-NEVER))


KernelCall = Kernel
"""The payload of a lowered operator."""
