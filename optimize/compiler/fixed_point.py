"""The integer arithmetic of the TensorFlow Lite Micro reference kernels, done at compile time.

Two things need it here: turning real scales into (multiplier, shift) pairs, and tabulating functions of one int8 for
all 256 arguments. Sources for the arithmetic: tensorflow/lite/kernels/internal/{common,quantization_util}.cc (double
rounding) and gemmlowp fixedpoint/fixedpoint.h. Qm.n below means m integer bits in an int32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1

Array = np.ndarray[Any, np.dtype[np.int64]]


def round_half_away(value: float) -> int:
    """Round to nearest, halves away from zero, as C's ``round``; exact for |value| < 2**52."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def quantize_multiplier(real: float) -> tuple[int, int]:
    """``real`` (>= 0) as (multiplier, shift) with real = multiplier * 2**(shift - 31), 2**30 <= multiplier < 2**31.

    Values under 2**-32 become (0, 0), as in the interpreter.
    """
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * (1 << 31))
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def multiply(value: int, multiplier: int, shift: int) -> int:
    """MultiplyByQuantizedMultiplier with its two roundings; left shifts wrap at 32 bits."""
    return rounding_divide(high_multiply(wrap32(value << max(shift, 0)), multiplier), max(-shift, 0))


def multiply_array(values: Array, multiplier: int, shift: int) -> Array:
    """``multiply`` of each of ``values``, which fit an int32; ``shift`` <= 0, 0 <= ``multiplier`` < 2**31."""
    assert shift <= 0
    high = (values * multiplier + (1 << 30)) >> 31
    mask = (1 << -shift) - 1
    return (high >> -shift) + ((high & mask) > (mask >> 1) + (high < 0))


def wrap32(value: int) -> int:
    """``value`` wrapped around to int32."""
    return (value + 2**31) % 2**32 - 2**31


def high_multiply(a: int, b: int) -> int:
    """The high word of 2ab, rounded to nearest; saturates its only overflow."""
    if a == b == INT32_MIN:
        return INT32_MAX
    return (a * b + (1 << 30)) >> 31


def rounding_divide(value: int, exponent: int) -> int:
    """value / 2**exponent, rounded to nearest, halves away from zero."""
    mask = (1 << exponent) - 1
    return (value >> exponent) + int((value & mask) > (mask >> 1) + int(value < 0))


def float32(value: float) -> float:
    """``value`` rounded to the nearest float32, which is infinite where it is too large."""
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def softmax_scaling(beta: float, scale: float) -> tuple[int, int, int]:
    """(multiplier, left shift, smallest difference to the row's maximum that still counts), inputs in Q5.26."""
    multiplier, shift = quantize_multiplier(min(beta * scale * (1 << 26), 2.0**31 - 1.0))
    return multiplier, shift, -input_radius(5, shift)


def softmax_exponentials(multiplier: int, left_shift: int, diff_min: int) -> tuple[int, ...]:
    """exp of minus 0, 1, 2… input steps in Q0, for the differences that count among int8 values."""
    steps = range(min(-diff_min, 255) + 1)
    return tuple(_exp_of_negative(high_multiply(wrap32(-step << left_shift), multiplier), 5) for step in steps)


def input_radius(integer_bits: int, left_shift: int) -> int:
    """The largest |input| that stays inside Qinteger_bits after the shift."""
    return math.floor(((1 << integer_bits) - 1) * (1 << (31 - integer_bits)) / (1 << left_shift))


def logistic_table(scale: float, zero_point: int) -> tuple[int, ...]:
    """int8 logistic for all int8 inputs, from -128 up; output scale 1/256, zero point -128."""
    return _sigmoid_table(scale, zero_point, lambda x: rounding_divide(_logistic(x), 23) - 128)


def tanh_table(scale: float, zero_point: int) -> tuple[int, ...]:
    """int8 tanh for all int8 inputs, from -128 up; output scale 1/128, zero point 0."""
    return _sigmoid_table(scale, zero_point, lambda x: rounding_divide(_tanh(x), 24))


def _sigmoid_table(scale: float, zero_point: int, function: Callable[[int], int]) -> tuple[int, ...]:
    fraction, shift = math.frexp(scale * (1 << 27))
    multiplier = round_half_away(fraction * (1 << 31))
    radius = input_radius(4, shift)

    def entry(stored: int) -> int:
        centred = stored - zero_point
        if abs(centred) >= radius:
            return 127 if centred > 0 else -128
        return min(max(function(multiply(centred, multiplier, shift)), -128), 127)

    return tuple(entry(stored) for stored in range(-128, 128))


def _logistic(x: int) -> int:
    """1 / (1 + exp(-x)), Q4 -> Q0."""
    if x == 0:
        return 1 << 30
    positive = saturating_shift(_double_reciprocal(_exp_of_negative(-abs(x), 4)), 1)
    return positive if x > 0 else INT32_MAX - positive


def _tanh(x: int) -> int:
    """(1 - exp(-2x)) / (1 + exp(-2x)), Q4 -> Q0; reading Q4 as Q5 doubles the argument."""
    if x == 0:
        return 0
    positive = saturating_shift(_double_reciprocal(_exp_of_negative(-abs(x), 5)) - (1 << 29), 2)
    return positive if x > 0 else -positive


def saturating_shift(value: int, exponent: int) -> int:
    """value * 2**exponent, saturated to int32."""
    return min(max(value << exponent, INT32_MIN), INT32_MAX)


def _exp_of_negative(x: int, integer_bits: int) -> int:
    """exp(x) for x <= 0, Qinteger_bits -> Q0: a polynomial on [-1/4, 0), then one factor for every bit of the rest."""
    if x == 0:
        return INT32_MAX
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    small = (x & (quarter - 1)) - quarter
    rest = small - x
    result = _exp_on_small(small << integer_bits)
    for exponent, factor in _EXP_FACTORS:
        if exponent < integer_bits and rest & (1 << (fraction_bits + exponent)):
            result = high_multiply(result, factor)
    return result


_EXP_FACTORS = (
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)
"""(e, exp(-2**e) in Q0)."""


def _exp_on_small(x: int) -> int:
    """exp(x) for x in [-1/4, 0), Q0: the fourth-order Taylor polynomial around -1/8."""
    y = x + (1 << 28)
    y2 = high_multiply(y, y)
    y3 = high_multiply(y2, y)
    y4_over_4 = rounding_divide(high_multiply(y2, y2), 2)
    rest = rounding_divide(high_multiply(y4_over_4 + y3, 715827883) + y2, 1)
    return 1895147668 + high_multiply(1895147668, y + rest)


def reciprocal(x: int) -> int:
    """2**62 / x, for x with 32 bits of which the first is set, as the interpreter finds it (an int32)."""
    return saturating_shift(_double_reciprocal(x - 2**31), 1)


def _double_reciprocal(x: int) -> int:
    """2 / (1 + x) for x in [0, 1], Q0 -> Q2, by three Newton-Raphson steps."""
    half_denominator = (x + INT32_MAX + 1) // 2
    estimate = 1515870810 + high_multiply(half_denominator, -1010580540)
    for _ in range(3):
        error = (1 << 29) - high_multiply(half_denominator, estimate)
        estimate += saturating_shift(high_multiply(estimate, error), 2)
    return estimate
