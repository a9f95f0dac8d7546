from __future__ import annotations

import pytest

from flota.bundle import TensorSignature
from hil.bench.cases import random_cases

INT8 = TensorSignature(name="x", shape=(1, 3), dtype="int8", scale=0.5, zero_point=-5)
FLOAT = TensorSignature(name="y", shape=(2,), dtype="float32")


class Reverse:
    """A runtime that gives its input backwards, once: it must be reset before it answers again."""

    def __init__(self) -> None:
        self._used = True

    def reset(self) -> None:
        self._used = False

    def infer(self, inputs: bytes) -> bytes:
        assert not self._used
        self._used = True
        return inputs[::-1]

    def close(self) -> None:
        """Nothing is held."""


def test_the_same_seed_gives_the_same_cases_and_another_one_others() -> None:
    first, again, other = (random_cases(Reverse(), [INT8, FLOAT], seed=seed, count=20) for seed in (1, 1, 2))
    assert first == again
    assert first[3:] != other[3:]
    assert len(first) == 20
    assert all(len(case.inputs) == 3 + 8 and case.expected == case.inputs[::-1] for case in first)


def test_the_corners_come_first() -> None:
    cases = random_cases(Reverse(), [INT8], seed=1, count=4)
    assert [case.inputs for case in cases[:3]] == [b"\x80" * 3, b"\x7f" * 3, b"\xfb" * 3]
    assert len(random_cases(Reverse(), [INT8], seed=1, count=2)) == 2


def test_no_cases_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        random_cases(Reverse(), [INT8], seed=1, count=0)
