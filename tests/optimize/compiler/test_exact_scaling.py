"""One multiplication and one shift against the interpreter's double rounding, for every sum there can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimize.compiler.exact_scaling import SHIFT, Factor, Scaling, find_scaling, stored_values
from optimize.compiler.fixed_point import multiply

RELU = (-128, 127)


def by_kernel(scaling: Scaling, low: int, high: int, clamp: tuple[int, int]) -> np.ndarray:
    """What the kernel stores for every sum in low..high, in the widths it computes with."""
    sums = np.zeros(high - low + 1, np.int64) if scaling.constant else np.arange(low, high + 1)
    shifted = (sums << 8) + scaling.bias
    assert np.abs(shifted).max() < 1 << 31
    assert 0 < scaling.multiplier < 1 << 31
    return np.clip(np.clip(((shifted * scaling.multiplier) >> 32) >> (SHIFT - 32), -128, 127), *clamp)


def by_interpreter(low: int, high: int, bias: int, factor: Factor) -> np.ndarray:
    return stored_values(np.arange(low, high + 1) + bias, factor)


factors = st.builds(Factor, st.integers(1 << 30, (1 << 31) - 1), st.integers(-14, -1), st.just(-128), st.just(RELU))


@given(factors, st.integers(-200_000, -1), st.integers(1, 200_000), st.integers(-20_000, 20_000))
@settings(max_examples=60, deadline=None)
def test_every_sum_of_a_channel(factor: Factor, low: int, high: int, bias: int) -> None:
    scaling = find_scaling(low, high, bias, factor)
    if scaling is not None:
        expected = by_interpreter(low, high, bias, factor)
        np.testing.assert_array_equal(by_kernel(scaling, low, high, factor.clamp), expected)


def test_layers_with_a_relu_almost_always_have_one() -> None:
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(300):
        factor = Factor(int(rng.integers(1 << 30, 1 << 31)), -int(rng.integers(3, 9)), -128, RELU)
        reach = int(rng.integers(10_000, 110_000))
        scaling = find_scaling(-reach, reach, int(rng.integers(-9_000, 9_000)), factor)
        found += scaling is not None
    assert found >= 297


@pytest.mark.parametrize("clamp", [(-128, 127), (-100, 90), (3, 40)])
def test_a_clamp_frees_what_it_cuts_off(clamp: tuple[int, int]) -> None:
    factor = Factor(1_518_500_250, -7, -110, clamp)
    low, high = -40_000, 41_000
    scaling = find_scaling(low, high, 77, factor)
    if clamp[0] >= factor.offset:
        assert scaling is not None
        np.testing.assert_array_equal(by_kernel(scaling, low, high, clamp), by_interpreter(low, high, 77, factor))
    else:
        assert scaling is None, "halves are rounded away from zero on both sides of it"


def test_a_channel_that_never_changes() -> None:
    factor = Factor(1 << 30, -22, -128, RELU)
    scaling = find_scaling(-1000, 1000, 99_174_816, factor)
    assert scaling is not None
    assert scaling.constant
    expected = by_interpreter(-1000, 1000, 99_174_816, factor)
    assert len(set(expected.tolist())) == 1
    np.testing.assert_array_equal(by_kernel(scaling, -1000, 1000, RELU), expected)


def test_left_shifts_and_sums_past_32_bits_have_none() -> None:
    assert find_scaling(-100, 100, 0, Factor(1 << 30, 1, 0, RELU)) is None
    assert find_scaling(-100, 100, (1 << 31) - 50, Factor(1 << 30, -5, 0, RELU)) is None


@given(
    st.integers(-(2**31), 2**31 - 1), st.integers(1 << 30, (1 << 31) - 1), st.integers(-31, 0), st.integers(-128, 127)
)
def test_stored_values_are_the_interpreters(total: int, multiplier: int, shift: int, offset: int) -> None:
    expected = min(max(multiply(total, multiplier, shift) + offset, -128), 127)
    assert stored_values(np.array([total]), Factor(multiplier, shift, offset, RELU)).tolist() == [expected]
