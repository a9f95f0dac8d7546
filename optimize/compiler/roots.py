"""1 / sqrt(x) of an integer in fixed point, as GetInvSqrtQuantizedMultiplierExp of the interpreter computes it.

Source: tensorflow/lite/kernels/internal/common.h. The C twin is ``inverse_square_root`` of firmware/src/nn/roots.h.
"""

from __future__ import annotations

from optimize.compiler.fixed_point import INT32_MAX, high_multiply, rounding_divide, saturating_shift


def inverse_square_root(value: int) -> tuple[int, int]:
    """(multiplier, shift) with 1 / sqrt(value) = multiplier * 2**(shift - 31), for 0 <= value < 2**31.

    Zero counts as one.
    """
    if value <= 1:
        return INT32_MAX, 0
    right = 11
    while value >= 1 << 29:
        value //= 4
        right += 1
    pairs = (31 - value.bit_length()) // 2 - 1
    right -= pairs
    value <<= 2 * pairs
    root = high_multiply(_newton(value >> 1), 1518500250)  # sqrt(1/2)
    if right < 0:
        return root << -right, 0
    return root, -right


def _newton(value: int) -> int:
    """Five steps of x = 1.5 x - value / 2 * x**3 from x = 1; all Q3."""
    half, three_halves, x = rounding_divide(value, 1), (1 << 28) + (1 << 27), 1 << 28
    for _ in range(5):
        cube = saturating_shift(high_multiply(high_multiply(x, x), x), 6)
        x = saturating_shift(high_multiply(three_halves, x) - high_multiply(half, cube), 3)
    return x
