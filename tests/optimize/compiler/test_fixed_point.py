"""Compile-time arithmetic: close to the real functions, exact where it must be."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optimize.compiler.fixed_point import (
    INT32_MAX,
    INT32_MIN,
    high_multiply,
    logistic_table,
    multiply,
    quantize_multiplier,
    rounding_divide,
    tanh_table,
    wrap32,
)

INT32 = st.integers(INT32_MIN, INT32_MAX)


@given(real=st.floats(2.0**-31, 2.0**30))
def test_multiplier_and_shift_stand_for_the_real_factor(real: float) -> None:
    multiplier, shift = quantize_multiplier(real)
    assert 2**30 <= multiplier < 2**31
    assert math.isclose(multiplier * 2.0 ** (shift - 31), real, rel_tol=2.0**-30)


def test_factors_too_small_for_any_shift_become_zero() -> None:
    assert quantize_multiplier(0.0) == quantize_multiplier(2.0**-33) == (0, 0)


@given(a=INT32, b=INT32)
def test_high_multiply_rounds_to_nearest(a: int, b: int) -> None:
    assert abs(high_multiply(a, b) * 2**31 - a * b) <= 2**30 or a == b == INT32_MIN


@given(value=INT32, exponent=st.integers(0, 31))
def test_rounding_divide_rounds_halves_away_from_zero(value: int, exponent: int) -> None:
    magnitude = (2 * abs(value) + 2**exponent) // (2 * 2**exponent)
    assert rounding_divide(value, exponent) == (magnitude if value >= 0 else -magnitude)


@given(value=st.integers(-(2**40), 2**40))
def test_wrap_is_twos_complement(value: int) -> None:
    assert wrap32(value) == int(np.array(value, np.int64).astype(np.int32))


@given(value=st.integers(-(2**20), 2**20), real=st.floats(2.0**-10, 0.999))
def test_multiply_is_the_rounded_product(value: int, real: float) -> None:
    assert abs(multiply(value, *quantize_multiplier(real)) - value * real) <= 1.0


@given(scale=st.floats(2.0**-10, 1.0, width=32), zero_point=st.integers(-128, 127))
def test_tables_follow_the_real_functions(scale: float, zero_point: int) -> None:
    for table, function in (
        (logistic_table(scale, zero_point), lambda x: 256 / (1 + math.exp(-x)) - 128),
        (tanh_table(scale, zero_point), lambda x: 128 * math.tanh(x)),
    ):
        for stored, entry in zip(range(-128, 128), table, strict=True):
            exact = function((stored - zero_point) * scale)
            assert abs(entry - min(max(exact, -128), 127)) <= 1.0
