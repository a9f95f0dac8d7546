"""Sums of two int8 as one linear function of the stored values, where that gives the same bytes for all 65,536 pairs.

The interpreter brings both inputs of ADD or SUB to a common scale and rounds three times; its result is close to
``a * left + b * right + constant``. Whether a choice of integers

    clamp((left * factors[0] + right * factors[1] + bias) >> shift, low, high)

equals it everywhere is decided by trying every pair: for given factors each pair bounds the bias from both sides (a
clamped result from one), so the biases that fit are an interval, and any in it will do. More bits in ``shift`` leave
more room next to the pairs that fall close to a rounding boundary; the accumulator's 32 bits limit them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from optimize.compiler.exact_sum import VALUES, sum_slopes, sum_table
from optimize.compiler.fixed_point import INT32_MAX, Array
from optimize.compiler.kernels import ElementwiseCall

SHIFTS = range(23, 15, -1)
"""With more bits no result of 8 bits fits, with fewer hardly any function is exact."""

NEIGHBOURS = tuple(
    sorted(((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)), key=lambda pair: abs(pair[0]) + abs(pair[1]))
)
"""Steps from the nearest factors, nearest first."""

UNBOUNDED = 1 << 62
"""A bias that no pair has a say in."""


@dataclass(frozen=True, slots=True)
class Linear:
    """See the module's formula; no sum leaves int32."""

    factors: tuple[int, int]
    bias: int
    shift: int


def find_linear(call: ElementwiseCall) -> Linear | None:
    """The linear form of an ADD or SUB, or None where none of those tried is exact."""
    return None if call.kind == "mul" else _find(replace(call, extents=(), strides=((), ())))


@lru_cache(maxsize=256)
def _find(call: ElementwiseCall) -> Linear | None:
    """The same for all shapes."""
    expected = sum_table(call)
    for factors, shift in _candidates(*sum_slopes(call)):
        bias = _bias(expected, factors, shift, call.clamp)
        if bias is not None:
            return Linear(factors, bias, shift)
    return None


def _candidates(left: float, right: float) -> Iterator[tuple[tuple[int, int], int]]:
    for step_left, step_right in NEIGHBOURS:
        for shift in SHIFTS:
            yield (round(left * 2**shift) + step_left, round(right * 2**shift) + step_right), shift


def _bias(expected: Array, factors: tuple[int, int], shift: int, clamp: tuple[int, int]) -> int | None:
    """The bias nearest to zero that makes every pair of ``expected`` [left + 128][right + 128] right within int32."""
    room = INT32_MAX - 128 * (abs(factors[0]) + abs(factors[1]))
    if room < 0:
        return None
    sums = factors[0] * VALUES[:, None] + factors[1] * VALUES[None, :]
    least = np.where(expected > clamp[0], (expected << shift) - sums, -UNBOUNDED).max()
    most = np.where(expected < clamp[1], ((expected + 1) << shift) - 1 - sums, UNBOUNDED).min()
    low, high = max(int(least), -room), min(int(most), room)
    return min(max(0, low), high) if low <= high else None
