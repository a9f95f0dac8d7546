"""The sum of two quantized tensors in three instructions a value, with the interpreter's bytes for all 65,536 pairs.

The interpreter brings both inputs to a common scale, adds, and brings the sum to the output's scale, with a double
rounding each time. What comes out is a function of two int8. This module looks for integers that give the same one by

    saturate8((((256 * a * left) >> 16) + ((256 * b * right) >> 16) + bias) >> shift)

which is two SMLAW, that multiply a word by a halfword and drop 16 bits, and one SSAT. Every pair is checked. What is
saturated or clamped is free, and so is all between two steps of the output, so nearly every sum has such numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from optimize.compiler.fixed_point import Array, multiply_array
from optimize.compiler.kernels import ElementwiseCall

SHIFTS = tuple(range(23, 14, -1))
"""Shifts the kernel is built for, the most precise first."""

SPREAD = (0, -1, 1, -2, 2)
"""Distances to try from the factors next to the real ones."""

VALUES: Array = np.arange(-128, 128, dtype=np.int64)

COMMON_BITS = 20
"""Bits below a stored step on the interpreter's common scale."""


@dataclass(frozen=True, slots=True)
class SumScaling:
    """The numbers of the formula above; all fit an int32, and so does what is shifted, for every pair of int8."""

    left: int
    right: int
    bias: int
    shift: int


def sum_table(call: ElementwiseCall) -> Array:
    """[256][256] What an add or sub stores for each pair of stored inputs, from -128 up."""
    sides = []
    for side in range(2):
        centred = (VALUES + call.input_offsets[side]) << COMMON_BITS
        sides.append(multiply_array(centred, call.input_multipliers[side], call.input_shifts[side]))
    raw = sides[0][:, None] + sides[1][None, :] if call.kind == "add" else sides[0][:, None] - sides[1][None, :]
    return np.clip(multiply_array(raw, call.multiplier, call.shift) + call.output_offset, *call.clamp)


def sum_slopes(call: ElementwiseCall) -> tuple[float, float]:
    """What one stored step of the left and of the right input adds to the real result of an add or sub, in steps."""
    out = call.multiplier * 2.0 ** (call.shift - 31)
    left, right = (
        out * call.input_multipliers[side] * 2.0 ** (call.input_shifts[side] - 31 + COMMON_BITS) for side in range(2)
    )
    return left, right if call.kind == "add" else -right


def find_sum_scaling(call: ElementwiseCall) -> SumScaling | None:
    """Numbers for an add or sub, or None where none were found."""
    if max(*call.input_shifts, call.shift) > 0:
        return None
    return fit_sum(sum_table(call), *sum_slopes(call), call.clamp)


def fit_sum(table: Array, left: float, right: float, clamp: tuple[int, int]) -> SumScaling | None:
    """Numbers that reproduce ``table`` [a][b], of stored values; ``left`` and ``right`` are what a step of a, b adds.

    Values at the ends of ``clamp`` may come out beyond them: the caller clamps what int8 saturation does not.
    """
    for shift in SHIFTS:
        scale = 2.0 ** (shift + 8)
        if max(abs(left), abs(right)) * scale >= 2.0**31 - 8:
            continue
        for near_left, near_right in product(SPREAD, SPREAD):
            found = _fit(table, round(left * scale) + near_left, round(right * scale) + near_right, shift, clamp)
            if found is not None:
                return found
    return None


def _fit(table: Array, left: int, right: int, shift: int, clamp: tuple[int, int]) -> SumScaling | None:
    """The bias that puts every pair on its step, from the middle of those that do."""
    sums = ((VALUES * left) >> 8)[:, None] + ((VALUES * right) >> 8)[None, :]
    bounded_below, bounded_above = table > clamp[0], table < clamp[1]
    limit = 1 << 31
    least = max(-limit - int(sums.min()), -limit, int(((table << shift) - sums)[bounded_below].max(initial=-limit)))
    above = (((table + 1) << shift) - 1 - sums)[bounded_above]
    most = min(limit - 1 - int(sums.max()), limit - 1, int(above.min(initial=limit - 1)))
    return SumScaling(left, right, (least + most) >> 1, shift) if least <= most else None
