"""Tables of functions of one int8, entry by entry as the TensorFlow Lite Micro kernels compute them.

Every table has 256 entries, for the stored inputs -128 to 127. Scales are float32 values held in Python floats.
Sources: tensorflow/lite/micro/kernels/{leaky_relu_common,hard_swish_common,elu,elementwise}.cc and
tensorflow/lite/kernels/internal/reference/{leaky_relu,hard_swish}.h.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from optimize.compiler.fixed_point import (
    INT32_MAX,
    float32,
    multiply,
    quantize_multiplier,
    round_half_away,
    rounding_divide,
)
from optimize.compiler.roots import inverse_square_root

Table = tuple[int, ...]
Pair = tuple[float, int]
"""(scale, zero point)."""


def leaky_relu_table(source: Pair, target: Pair, alpha: float) -> Table:
    """x where x >= 0, else alpha * x; alpha may be negative or above one."""
    (scale, zero), (out_scale, out_zero) = source, target
    positive = quantize_multiplier(float32(scale / out_scale))
    negative = quantize_multiplier(abs(float32(float32(scale * alpha) / out_scale)))
    sign = -1 if alpha < 0 else 1

    def entry(stored: int) -> int:
        x = stored - zero
        return _clamp(out_zero + (multiply(x, *positive) if x >= 0 else sign * multiply(x, *negative)))

    return _tabulate(entry)


def elu_table(source: Pair, target: Pair) -> Table:
    """x where x >= 0, else exp(x) - 1; all in float32."""
    (scale, zero), (out_scale, out_zero) = source, target
    inverse = float32(1.0 / out_scale)

    def entry(stored: int) -> int:
        x = float32(scale * (stored - zero))
        value = float32(float32(math.exp(x)) - 1.0) if x < 0.0 else x
        return _clamp(round_half_away(float32(value * inverse)) + out_zero)

    return _tabulate(entry)


def abs_table(source: Pair, target: Pair) -> Table:
    """|x|; without a factor where both scales are equal."""
    (scale, zero), (out_scale, out_zero) = source, target
    pair = quantize_multiplier(float32(scale / out_scale))

    def entry(stored: int) -> int:
        x = abs(stored - zero)
        return _clamp(out_zero + (x if scale == out_scale else multiply(x, *pair)))

    return _tabulate(entry)


RSQRT_BITS = 20
"""Fraction bits the interpreter keeps between its two factors."""


def rsqrt_table(source: Pair, target: Pair) -> Table:
    """1 / sqrt(x); the largest value where x is 0, and where it is negative: there the interpreter gives up."""
    (scale, zero), (out_scale, out_zero) = source, target
    multiplier, shift = rsqrt_factor(scale, out_scale)

    def entry(stored: int) -> int:
        if stored <= zero:
            return 127
        root, root_shift = inverse_square_root(stored - zero)
        fine = multiply(1, root, root_shift + RSQRT_BITS)
        return _clamp(out_zero + multiply(fine, multiplier, shift - RSQRT_BITS))

    return _tabulate(entry)


def rsqrt_factor(scale: float, out_scale: float) -> tuple[int, int]:
    """The factor from 1 / sqrt(stored) to the output, as (multiplier, shift)."""
    return quantize_multiplier(1.0 / float32(float32(math.sqrt(scale)) * out_scale))


@dataclass(frozen=True, slots=True)
class HardSwish:
    """The two factors of hard swish as (16-bit multiplier, exponent): to the output, and to where 1.0 means x = 3."""

    output: tuple[int, int]
    gate: tuple[int, int]


def hard_swish_factors(scale: float, out_scale: float) -> HardSwish:
    """What HardSwishPrepare computes, in float32."""
    fine = float32(scale / 128.0)
    factors = (float32(fine / out_scale), float32(fine / float32(3.0 / 32768.0)))
    output, gate = (_multiplier16(*quantize_multiplier(factor)) for factor in factors)
    return HardSwish(output, gate)


def _multiplier16(multiplier: int, shift: int) -> tuple[int, int]:
    rounding = 1 << 15
    return (0x7FFF if multiplier >= INT32_MAX - rounding else (multiplier + rounding) >> 16), shift


def hard_swish_table(source: Pair, target: Pair) -> Table:
    """x * relu6(x + 3) / 6 in 16-bit fixed point."""
    (scale, zero), (out_scale, out_zero) = source, target
    factors = hard_swish_factors(scale, out_scale)

    def entry(stored: int) -> int:
        fine = _wrap16((stored - zero) * 128)
        scaled = _high16(fine, factors.output[0])
        gate = _gate(fine, *factors.gate)
        product = int(gate * scaled / (1 << 15))  # towards zero; exact in double
        return _clamp(_wrap16(rounding_divide(product, -factors.output[1]) + out_zero))

    return _tabulate(entry)


def _gate(fine: int, multiplier: int, exponent: int) -> int:
    """(x + 3) / 6 held in [0, 1], Q15; the last left shift saturates, the first ones cannot matter."""
    value = _saturate16(fine << (exponent - 1)) if exponent > 0 else fine
    value = _high16(value, multiplier)
    if exponent > 0:
        value = _saturate16(value << 1)
    if exponent < 0:
        value = rounding_divide(value, -exponent)
    return (value + (1 << 15)) >> 1


def _high16(a: int, b: int) -> int:
    """The high half of 2ab, rounded to nearest."""
    return (a * b + (1 << 14)) >> 15


def _wrap16(value: int) -> int:
    return (value + 2**15) % 2**16 - 2**15


def _saturate16(value: int) -> int:
    return min(max(value, -(2**15)), 2**15 - 1)


def _clamp(value: int) -> int:
    return min(max(value, -128), 127)


def _tabulate(entry: Callable[[int], int]) -> Table:
    return tuple(entry(stored) for stored in range(-128, 128))
