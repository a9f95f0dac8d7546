"""One multiplication and one shift that give the bytes of the interpreter's double rounding, for every possible sum.

The interpreter turns a sum into an int8 by a doubling high multiplication with rounding, a shift with rounding and a
clamp. The result is a staircase: it never falls, so it is known by the least sum that reaches each of at most 255
steps. Any other computation that never falls and has its steps at the same sums gives the same bytes. This module
looks for one that is cheaper: ((256 * sum + bias) * multiplier) >> 40, saturated to int8.

Each step gives two inequalities: the least sum that reaches it, does; the one before does not. For a fixed multiplier
both bound the bias, so a search is over multipliers near the real factor. A layer whose clamp cuts off all negative
results always has some; without such a clamp rounding halves away from zero bends the staircase, and there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimize.compiler.fixed_point import Array, multiply_array

SHIFT = 40
"""Bits dropped in all: 32 by SMMUL, 8 in the saturation. More suit small factors only, and fit them better."""

SUM_BITS = 8
"""The sum arrives multiplied by 2**8, so the bias is finer than a step of the sum."""

MOST_CHANNELS = 4096
"""Channels of one layer that are worth a search: each takes milliseconds, and a small file may claim very many."""

NEIGHBOURS = 1024
"""Multipliers to try on either side of the real factor."""

STRETCHES = 1.125 ** np.arange(1, 160)
"""Steeper factors, for sums that reach so few steps that the distance between them does not matter."""


@dataclass(frozen=True, slots=True)
class Factor:
    """A sum's real factor, multiplier * 2**(shift - 31), the offset added after it, and the clamp."""

    multiplier: int
    shift: int
    offset: int
    clamp: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Scaling:
    """Stored value = saturate8(((256 * sum + bias) * multiplier) >> shift), clamped; both fit an int32.

    ``constant`` says that the value is the same for every sum that can occur and holds for sum = 0 alone: the weights
    have to be zeroed.
    """

    multiplier: int
    bias: int
    constant: bool = False


def stored_values(sums: Array, factor: Factor) -> Array:
    """What the interpreter stores for each sum; right shifts only (``factor.shift`` <= 0)."""
    return np.clip(multiply_array(sums, factor.multiplier, factor.shift) + factor.offset, *factor.clamp)


def find_scaling(low: int, high: int, bias: int, factor: Factor, shift: int = SHIFT) -> Scaling | None:
    """The scaling of all sums s in low..high whose interpreter's value is that of s + bias, or None.

    ``shift``: bits the kernel drops in all.
    """
    if factor.shift > 0 or max(abs(low + bias), abs(high + bias)) >= 1 << 31:
        return None
    least, most = (int(value) for value in stored_values(np.array([low, high]) + bias, factor))
    if least == most:
        return Scaling(1 << 30, (least << (shift - 30)) + (1 << (shift - 31)), constant=True)
    reached, missed = _bounds(low, high, bias, factor, least, most)
    real = factor.multiplier * 2.0 ** (factor.shift + shift - 31 - SUM_BITS)
    for multipliers in _candidates(real):
        found = _fit(multipliers, reached, missed, (low, high), shift)
        if found is not None:
            return found
    return None


Bounds = tuple[Array, Array]
"""(sums, stored values)"""


def _bounds(low: int, high: int, bias: int, factor: Factor, least: int, most: int) -> tuple[Bounds, Bounds]:
    """Sums that must reach a value, and sums that must stay below one; what the clamp cuts off is free."""
    steps = np.arange(least + 1, most + 1)
    first = _first_sums(low, high, bias, factor, steps)
    reached, missed = (first, steps), (first - 1, steps)
    if least > factor.clamp[0]:
        reached = np.append(reached[0], low), np.append(reached[1], least)
    if most < factor.clamp[1]:
        missed = np.append(missed[0], high), np.append(missed[1], most + 1)
    return reached, missed


def _first_sums(low: int, high: int, bias: int, factor: Factor, steps: Array) -> Array:
    """The least sum that reaches each of ``steps``, by bisection of all at once."""
    below, above = np.full(steps.shape, low), np.full(steps.shape, high)
    while (above - below > 1).any():
        middle = (below + above) >> 1
        reaches = stored_values(middle + bias, factor) >= steps
        above, below = np.where(reaches, middle, above), np.where(reaches, below, middle)
    return above


def _candidates(real: float) -> list[Array]:
    """Multipliers in the order to try them, in batches that are worth one vector operation."""
    width = max(1.0, real / (1 << 24))
    offsets = np.arange(NEIGHBOURS)
    near = np.concatenate(([0], np.stack((-offsets[1:], offsets[1:]), axis=1).ravel()))
    ordered = np.concatenate((np.rint(real + near * width), np.rint(max(real, 1.0) * STRETCHES)))
    usable = ordered[(ordered >= 1) & (ordered < 2.0**31)].astype(np.int64)
    return [usable[start : start + 64] for start in range(0, len(usable), 64)]


def _fit(multipliers: Array, reached: Bounds, missed: Bounds, sums: tuple[int, int], shift: int) -> Scaling | None:
    """The first multiplier that leaves a bias, with the bias in the middle of what it leaves."""
    column = multipliers[:, None]
    # (256 s + bias) * m >= value << 40 is 256 s + bias >= ceil((value << shift) / m).
    least = (-(-(reached[1] << shift) // column) - (reached[0] << SUM_BITS)).max(axis=1)
    most = (-(-(missed[1] << shift) // column) - 1 - (missed[0] << SUM_BITS)).min(axis=1)
    least = np.maximum(least, -(1 << 31) - (sums[0] << SUM_BITS))
    most = np.minimum(most, (1 << 31) - 1 - (sums[1] << SUM_BITS))
    usable = np.flatnonzero((least <= most) & (np.abs(least + most) < 1 << 32))
    if not usable.size:
        return None
    at = int(usable[0])
    return Scaling(int(multipliers[at]), int(least[at] + most[at]) >> 1)
