from __future__ import annotations

import numpy as np
import pytest

from flota.bundle import TensorSignature
from hil.bench.run import Case, Comparison, Reading, describe_difference, run_bench


class Adder:
    """A probe that adds one to every byte; inference number ``wrong`` comes out differently."""

    def __init__(self, wrong: int = -1) -> None:
        self.count = 0
        self._wrong = wrong

    def measure(self, case: bytes) -> Reading:
        output = bytes((byte + 1) % 256 for byte in case)
        if self.count == self._wrong:
            output = output[:-1] + b"\x77"
        self.count += 1
        return Reading(output=output, cost=100.0 + self.count)


CASES = [Case(b"\x01\x02", b"\x02\x03"), Case(b"\x05\x06", b"\x06\x07"), Case(b"\x09\x0a", b"\x0a\x0b")]


def test_every_case_is_run_and_checked_and_the_warm_up_is_not_counted() -> None:
    seen: list[tuple[int, int]] = []
    probe = Adder()
    result = run_bench(
        probe, CASES, warmup=2, inferences=5, reference="r", progress=lambda done, total: seen.append((done, total))
    )
    assert result.costs == (103.0, 104.0, 105.0, 106.0, 107.0)
    assert (result.outputs.checked, result.outputs.equal, result.outputs.cases) == (7, 7, 3)
    assert result.outputs.passed
    assert seen == [(number, 7) for number in range(1, 8)]


@pytest.mark.parametrize("wrong", [0, 1, 2, 6])
def test_one_wrong_output_anywhere_is_seen(wrong: int) -> None:
    result = run_bench(Adder(wrong), CASES, warmup=2, inferences=5, reference="r")
    assert (result.outputs.checked, result.outputs.equal) == (7, 6)
    assert not result.outputs.passed
    assert f"case {(wrong - 2) % 3}: byte 1 is 0x77" in result.outputs.first_difference


@pytest.mark.parametrize(("cases", "warmup", "inferences"), [([], 0, 1), (CASES, 0, 0), (CASES, -1, 1)])
def test_numbers_that_measure_nothing_are_refused(cases: list[Case], warmup: int, inferences: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        run_bench(Adder(), cases, warmup=warmup, inferences=inferences, reference="r")


def test_a_short_output_is_a_difference() -> None:
    assert describe_difference(3, b"\x01", b"\x01\x02") == "case 3: 1 bytes, 2 expected"


def test_tolerance_is_for_float_tensors_only() -> None:
    floats = TensorSignature(name="f", shape=(2,), dtype="float32")
    whole = TensorSignature(name="i", shape=(1,), dtype="int8", scale=1.0, zero_point=0)
    comparison = Comparison(outputs=(floats, whole), tolerance=0.01)
    exact = np.float32([1.0, 2.0]).tobytes()
    near = np.float32([1.005, 2.0]).tobytes()
    far = np.float32([1.5, 2.0]).tobytes()
    assert comparison.equal(near + b"\x01", exact + b"\x01")
    assert not comparison.equal(far + b"\x01", exact + b"\x01")
    assert not comparison.equal(near + b"\x02", exact + b"\x01")
    assert not comparison.equal(near, exact + b"\x01")
    assert not comparison.equal(np.float32([np.nan, 2.0]).tobytes() + b"\x01", exact + b"\x01")
    assert not Comparison().equal(near, exact)
