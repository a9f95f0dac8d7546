"""Kernel calls that compare, reduce and normalize values."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from optimize.compiler.fixed_point import high_multiply, multiply, reciprocal, rounding_divide, wrap32
from optimize.compiler.kernels import Kernel, walk_lead, walk_places
from optimize.compiler.leads import element_lead

Comparison = Literal["equal", "not_equal", "greater", "greater_equal", "less", "less_equal"]
Logic = Literal["logical_and", "logical_or"]
Axes = tuple[tuple[int, int], ...]
"""(extent, stride) from the outside in; at most three."""


@dataclass(frozen=True, slots=True)
class BroadcastCall(Kernel):
    """Two inputs over ``extents`` with one stride per axis and input (0 repeats the element).

    maximum, minimum, logic: stored values as they are. Comparisons: both by ``input_*`` to the same 256th of a unit.
    div: the quotient by ``multiplier`` and ``shift``. prelu: ``input_*[0]`` scale what is not negative, ``multiplier``
    and ``shift`` the rest times alpha. squared_difference: inputs to a common scale, then the square by ``multiplier``.
    """

    kind: Literal["maximum", "minimum", "prelu", "squared_difference", "div"] | Comparison | Logic
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
        """One file for each kind or family of kinds."""
        more = ("src/nn/exponential.c",) if self.kind == "div" else ()
        return (f"src/nn/{STEMS.get(self.kind, self.kind)}.c", *more)

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


def _divide(call: BroadcastCall, left: int, right: int) -> int:
    """As firmware/src/nn/div.c."""
    x, divisor = left + call.input_offsets[0], right + call.input_offsets[1]
    if divisor < 0:
        x, divisor = -x, -divisor
    if divisor == 0:
        return _finish(call, (x > 0) * 1024 - (x < 0) * 1024)
    headroom = 31 - (x if x >= 0 else ~x).bit_length()
    quotient = high_multiply(wrap32(x << headroom), reciprocal(divisor << (32 - divisor.bit_length())))
    exponent = headroom + divisor.bit_length() - 1 - call.shift
    return _finish(call, rounding_divide(high_multiply(quotient, call.multiplier), exponent))


def _compare(call: BroadcastCall, left: int, right: int) -> int:
    """As firmware/src/nn/compare.c."""
    a, b = (
        multiply((value + offset) * 256, multiplier, shift)
        for value, offset, multiplier, shift in zip(
            (left, right), call.input_offsets, call.input_multipliers, call.input_shifts, strict=True
        )
    )
    return int(COMPARISONS[call.kind](a, b))


def _finish(call: BroadcastCall, scaled: int) -> int:
    low, high = call.clamp
    return min(max(wrap32(scaled + call.output_offset), low), high)


COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "equal": operator.eq,
    "not_equal": operator.ne,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "less": operator.lt,
    "less_equal": operator.le,
}

STEMS = {"maximum": "extremes", "minimum": "extremes", "logical_and": "logic", "logical_or": "logic"} | dict.fromkeys(
    COMPARISONS, "compare"
)
"""Kind -> its file, where that has another name."""

ELEMENTS: dict[str, Callable[[BroadcastCall, int, int], int]] = {
    "maximum": lambda call, left, right: max(left, right),
    "minimum": lambda call, left, right: min(left, right),
    "prelu": _bend,
    "squared_difference": _square,
    "div": _divide,
    "logical_and": lambda call, left, right: int(left != 0 and right != 0),
    "logical_or": lambda call, left, right: int(left != 0 or right != 0),
    **dict.fromkeys(COMPARISONS, _compare),
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
