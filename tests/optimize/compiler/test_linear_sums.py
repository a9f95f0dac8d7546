"""ADD and SUB as linear functions: every pair of stored values, and whole operators against the interpreter."""

from __future__ import annotations

import numpy as np
import pytest
from host_models import build_kernels, random_samples, reference, run_sanitized
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_builder import Builder, options

from optimize.compiler import compile_tflite
from optimize.compiler.fixed_point import multiply, quantize_multiplier
from optimize.compiler.kernels import ElementwiseCall
from optimize.compiler.linear import find_linear

STORED = np.arange(-128, 128)


@st.composite
def sums(draw: st.DrawFn) -> ElementwiseCall:
    """An ADD or SUB with scales as far apart as real layers have them, and any zero points and clamp."""
    left = draw(st.floats(0.004, 0.3))
    right, out = left * 2 ** draw(st.floats(-3, 3)), left * 2 ** draw(st.floats(-1, 3))
    common = 2 * max(left, right)
    pairs = [quantize_multiplier(factor) for factor in (left / common, right / common, common / ((1 << 20) * out))]
    zero, low, high = st.integers(-128, 127), draw(st.integers(-128, 0)), draw(st.integers(1, 127))
    return ElementwiseCall(
        kind=draw(st.sampled_from(("add", "sub"))),
        extents=(1,),
        strides=((1,), (1,)),
        input_offsets=(-draw(zero), -draw(zero)),
        input_multipliers=(pairs[0][0], pairs[1][0]),
        input_shifts=(pairs[0][1], pairs[1][1]),
        multiplier=pairs[2][0],
        shift=pairs[2][1],
        output_offset=draw(zero),
        clamp=draw(st.sampled_from(((-128, 127), (low, high)))),
    )


def expected(call: ElementwiseCall, left: int, right: int) -> int:
    scaled = [
        multiply((x + offset) * (1 << 20), factor, shift)
        for x, offset, factor, shift in zip(
            (left, right), call.input_offsets, call.input_multipliers, call.input_shifts, strict=True
        )
    ]
    raw = scaled[0] + scaled[1] if call.kind == "add" else scaled[0] - scaled[1]
    low, high = call.clamp
    return min(max(multiply(raw, call.multiplier, call.shift) + call.output_offset, low), high)


@settings(max_examples=40, deadline=None)
@given(call=sums(), data=st.data())
def test_a_linear_form_agrees_on_every_pair_and_stays_in_32_bits(call: ElementwiseCall, data: st.DataObject) -> None:
    linear = find_linear(call)
    if linear is None:
        return
    a, b = linear.factors
    totals = a * STORED[:, None] + b * STORED[None, :] + linear.bias
    assert np.abs(totals).max() < 2**31
    actual = np.clip(totals >> linear.shift, *call.clamp)
    for left in data.draw(st.lists(st.integers(-128, 127), min_size=6, max_size=6)):
        assert actual[left + 128].tolist() == [expected(call, left, right) for right in range(-128, 128)]


def test_nearly_every_sum_of_unequal_scales_has_a_linear_form() -> None:
    rng, found = np.random.default_rng(3), 0
    for _ in range(25):
        left, right, out = rng.uniform(0.005, 0.2, 3)
        common = 2 * max(left, right)
        pairs = [quantize_multiplier(f) for f in (left / common, right / common, common / ((1 << 20) * (out + common)))]
        call = ElementwiseCall(
            "add",
            (1,),
            ((1,), (1,)),
            (int(rng.integers(-127, 128)), int(rng.integers(-127, 128))),
            (pairs[0][0], pairs[1][0]),
            (pairs[0][1], pairs[1][1]),
            *pairs[2],
            int(rng.integers(-128, 128)),
            (-128, 127),
        )
        found += find_linear(call) is not None
    assert found >= 24


def call_of(*factors: float) -> ElementwiseCall:
    pairs = [quantize_multiplier(factor) for factor in factors]
    inputs, shifts = (pairs[0][0], pairs[1][0]), (pairs[0][1], pairs[1][1])
    return ElementwiseCall("add", (1,), ((1,), (1,)), (0, 0), inputs, shifts, *pairs[2], 0, (-128, 127))


def test_halves_are_rounded_away_from_zero_by_a_slope_a_little_too_steep() -> None:
    linear = find_linear(call_of(0.5, 0.5, 2.0**-20))
    assert linear is not None
    halves = [(linear.factors[0] * x + linear.bias) >> linear.shift for x in (-3, -1, 1, 3)]
    assert halves == [-2, -1, 1, 2]


def test_a_sum_too_steep_for_32_bits_is_left_to_the_interpreters_arithmetic() -> None:
    assert find_linear(call_of(0.5, 0.45, 0.01)) is None


def model(
    name: str, left: tuple[int, ...], right: tuple[int, ...], activation: int, scales: tuple[float, ...]
) -> bytes:
    b = Builder()
    x, y = b.tensor(left, scale=scales[0], zero_point=-9), b.tensor(right, scale=scales[1], zero_point=70)
    shape = tuple(np.broadcast_shapes(left, right))
    kind = options(f"{name.capitalize()}Options", fusedActivationFunction=activation)
    return b.build([x, y], [b.op(name, [x, y], b.tensor(shape, scale=scales[2], zero_point=-30), kind)])


CASES = {
    "rows": ((1, 5, 7, 3), (1, 5, 7, 3), 0),
    "a relu in the middle": ((1, 5, 7, 3), (1, 5, 7, 3), 1),
    "one right value a channel": ((1, 4, 4, 6), (6,), 0),
    "one left value a row": ((1, 4, 1, 1), (1, 4, 3, 6), 3),
    "rows repeated": ((3, 1, 9), (3, 4, 9), 0),
    "three": ((3,), (3,), 0),
}
SCALES = {"unequal": (0.031, 0.017, 0.043), "ties": (0.5, 0.5, 1.0), "steep": (1.0, 0.9, 0.0001)}


@pytest.mark.parametrize("core", ["portable", "cortex-m4"])
@pytest.mark.parametrize("name", ["ADD", "SUB"])
def test_sums_give_the_interpreters_bytes(name: str, core: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    models = [model(name, *case, scales) for case in CASES.values() for scales in SCALES.values()]
    compiled = [compile_tflite(item, name="m", core=core) for item in models]
    samples = [random_samples(item, 20, seed) for seed, item in enumerate(compiled)]
    outputs = run_sanitized(build_kernels(tmp_path_factory.mktemp("kernels")), compiled, samples, "all")
    for item, sample, actual in zip(models, samples, outputs, strict=True):
        assert actual == reference(item, sample)
    sources = {source for item in compiled for source in item.kernel_sources}
    assert {"src/nn/linear.c", "src/nn/elementwise.c"} <= sources
