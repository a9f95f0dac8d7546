"""Kernel calls that compare, reduce and normalize values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from optimize.compiler.fixed_point import multiply, wrap32
from optimize.compiler.kernels import Kernel, walk_lead, walk_places
from optimize.compiler.leads import element_lead

Axes = tuple[tuple[int, int], ...]
"""(extent, stride) from the outside in; at most three."""


@dataclass(frozen=True, slots=True)
class BroadcastCall(Kernel):
    """Two inputs over ``extents`` with one stride per axis and input (0 repeats the element).

    maximum, minimum: stored values as they are. prelu: ``input_*[0]`` scale what is not negative, ``multiplier`` and
    ``shift`` the rest times alpha. squared_difference: inputs to a common scale, then the square by ``multiplier``.
    """

    kind: Literal["maximum", "minimum", "prelu", "squared_difference"]
    extents: tuple[int, ...]
    strides: tuple[tuple[int, ...], tuple[int, ...]]
    input_offsets: tuple[int, int] = (0, 0)
    input_multipliers: tuple[int, int] = (0, 0)
    input_shifts: tuple[int, int] = (0, 0)
    multiplier: int = 0
    shift: int = 0
    output_offset: int = 0
    clamp: tuple[int, int] = (-128, 127)

    @property
    def sources(self) -> tuple[str, ...]:
        """One file for each kind, but for the pair that compares."""
        stem = "extremes" if self.kind in ("maximum", "minimum") else self.kind
        return (f"src/nn/{stem}.c",)

    def element(self, left: int, right: int) -> int:
        """One element from the stored values of both inputs, as the C code computes it."""
        return ELEMENTS[self.kind](self, left, right)

    def lead(self, operand: int) -> int | None:
        """Every value reads one element of each input, then is written."""
        return walk_lead(self.extents, self.strides[operand])


def _bend(call: BroadcastCall, left: int, right: int) -> int:
    """As firmware/src/nn/prelu.c."""
    x = left + call.input_offsets[0]
    if x >= 0:
        return _finish(call, multiply(x, call.input_multipliers[0], call.input_shifts[0]))
    return _finish(call, multiply(x * (right + call.input_offsets[1]), call.multiplier, call.shift))


def _square(call: BroadcastCall, left: int, right: int) -> int:
    """As firmware/src/nn/squared_difference.c."""
    fine = [
        multiply((value + offset) * 128, multiplier, shift)
        for value, offset, multiplier, shift in zip(
            (left, right), call.input_offsets, call.input_multipliers, call.input_shifts, strict=True
        )
    ]
    return _finish(call, multiply((fine[0] - fine[1]) ** 2, call.multiplier, call.shift))


def _finish(call: BroadcastCall, scaled: int) -> int:
    low, high = call.clamp
    return min(max(wrap32(scaled + call.output_offset), low), high)


ELEMENTS: dict[str, Callable[[BroadcastCall, int, int], int]] = {
    "maximum": lambda call, left, right: max(left, right),
    "minimum": lambda call, left, right: min(left, right),
    "prelu": _bend,
    "squared_difference": _square,
}
"""Kind -> the function of one element."""


@dataclass(frozen=True, slots=True)
class ExtremeCall(Kernel):
    """Output elements walk ``kept``, each the largest or smallest over ``reduced``."""

    SOURCE: ClassVar[str] = "src/nn/reduce.c"
    kind: Literal["max", "min"]
    kept: Axes
    reduced: Axes

    def lead(self, operand: int) -> int | None:
        """Every value reads what it compares, from its place among ``kept`` on, then is written."""
        return element_lead(walk_places(self.kept))


@dataclass(frozen=True, slots=True)
class ArgCall(Kernel):
    """int32 output [outer][inner] is the first best position along the middle axis of input [outer][count][inner]."""

    SOURCE: ClassVar[str] = "src/nn/arg.c"
    kind: Literal["max", "min"]
    outer: int
    count: int
    inner: int

    def lead(self, operand: int) -> int | None:
        """Every position reads its column, from the first value on, then is written as four bytes."""
        return element_lead(walk_places(((self.outer, self.count * self.inner), (self.inner, 1))), bytes_each=4)


@dataclass(frozen=True, slots=True)
class L2NormalizationCall(Kernel):
    """``rows`` runs of ``depth`` values."""

    SOURCE: ClassVar[str] = "src/nn/l2_normalization.c"
    rows: int
    depth: int
    input_offset: int

    def lead(self, operand: int) -> int | None:
        """A row is summed before its first value is written; then every value is read and written in turn."""
        return 0
