"""Kernel calls of sums of many (of tensors, along an axis), of the logarithm of softmax, and of choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optimize.compiler.kernels import Kernel, walk_places
from optimize.compiler.leads import element_lead


@dataclass(frozen=True, slots=True)
class AddNCall(Kernel):
    """``count`` sums of one element from each of ``inputs`` tensors."""

    SOURCE: ClassVar[str] = "src/nn/add_n.c"
    count: int
    inputs: int
    input_offset: int
    multiplier: int
    shift: int
    output_offset: int

    def lead(self, operand: int) -> int | None:
        """Every value reads one element of each input, in its own place, then is written."""
        return 0


@dataclass(frozen=True, slots=True)
class CumSumCall(Kernel):
    """Running sums along the middle axis of [outer][depth][inner]."""

    SOURCE: ClassVar[str] = "src/nn/cumsum.c"
    outer: int
    depth: int
    inner: int
    exclusive: bool
    reverse: bool
    input_offset: int
    multiplier: int
    shift: int
    output_offset: int

    def lead(self, operand: int) -> int | None:
        """Every value is read, then written in its place, one series of ``depth`` values after the other."""
        return 0

    @property
    def exact_lead(self) -> bool:
        """Series lie among each other, and may run backwards."""
        return self.inner > 1 or self.reverse


@dataclass(frozen=True, slots=True)
class FloatAddNCall(Kernel):
    """The same of float32, without scales."""

    SOURCE: ClassVar[str] = "src/nn/add_n_f32.c"
    count: int
    inputs: int

    def lead(self, operand: int) -> int | None:
        """Every value reads one element of each input, in its own place, then is written."""
        return 0


@dataclass(frozen=True, slots=True)
class FloatCumSumCall(Kernel):
    """The same of float32, without scales."""

    SOURCE: ClassVar[str] = "src/nn/cumsum_f32.c"
    outer: int
    depth: int
    inner: int
    exclusive: bool
    reverse: bool

    def lead(self, operand: int) -> int | None:
        """Every value is read, then written in its place, one series of ``depth`` values after the other."""
        return 0

    @property
    def exact_lead(self) -> bool:
        """Series lie among each other, and may run backwards."""
        return self.inner > 1 or self.reverse


@dataclass(frozen=True, slots=True)
class FloatDivCall(Kernel):
    """Quotients of float32 over ``extents`` with one stride per axis and input (0 repeats), held in ``clamp``."""

    SOURCE: ClassVar[str] = "src/nn/div_f32.c"
    extents: tuple[int, ...]
    strides: tuple[tuple[int, ...], tuple[int, ...]]
    clamp: tuple[float, float]

    def lead(self, operand: int) -> int | None:
        """Every value reads one element of each input, then is written."""
        return element_lead(walk_places(tuple(zip(self.extents, self.strides[operand], strict=True))) * 4, bytes_each=4)


@dataclass(frozen=True, slots=True)
class LogSoftmaxCall(Kernel):
    """``rows`` runs of ``depth`` values; inputs reach Q5.26 by the multiplier, ``reverse_*`` lead back."""

    SOURCE: ClassVar[str] = "src/nn/log_softmax.c"
    MORE_SOURCES: ClassVar[tuple[str, ...]] = ("src/nn/exponential.c",)
    rows: int
    depth: int
    multiplier: int
    left_shift: int
    reverse_multiplier: int
    reverse_shift: int
    diff_min: int

    def lead(self, operand: int) -> int | None:
        """A value is last read right before it is written in its place."""
        return 0


@dataclass(frozen=True, slots=True)
class SelectCall(Kernel):
    """Elements of ``size`` bytes; ``strides`` of condition and of both choices, in elements (0 repeats)."""

    SOURCE: ClassVar[str] = "src/nn/select.c"
    size: int
    extents: tuple[int, ...]
    strides: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

    def lead(self, operand: int) -> int | None:
        """Every element reads one of each input, then is written; all of it is bytes."""
        size = 1 if operand == 0 else self.size
        places = walk_places(tuple(zip(self.extents, self.strides[operand], strict=True)))
        return element_lead(places * size, bytes_each=self.size)
