from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from flota.bundle import TensorSignature
from flota.errors import UsageError
from hil.bench.api import input_signatures, signatures
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


def test_an_int32_without_a_scale_is_an_index() -> None:
    ids = TensorSignature(name="ids", shape=(50,), dtype="int32")
    cases = random_cases(Reverse(), [ids], seed=1, count=5)
    values = [np.frombuffer(case.inputs, np.int32) for case in cases]
    assert {int(value) for row in values for value in row} == {0, 1}
    scaled = TensorSignature(name="x", shape=(50,), dtype="int32", scale=0.5, zero_point=0)
    assert np.frombuffer(random_cases(Reverse(), [scaled], seed=1, count=2)[1].inputs, np.int32).max() == 2**31 - 1


def test_inputs_of_16_bits_span_their_range() -> None:
    tensor = TensorSignature(name="x", shape=(500,), dtype="int16", scale=0.5, zero_point=0)
    cases = [np.frombuffer(case.inputs, np.int16) for case in random_cases(Reverse(), [tensor], seed=1, count=4)]
    assert [cases[0].min(), cases[1].max()] == [-32768, 32767]
    assert cases[3].min() < -30_000
    assert cases[3].max() > 30_000


@dataclass(frozen=True)
class Facts:
    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 1.0
    zero_point: int = 0


def test_tensors_that_no_bundle_knows() -> None:
    flags, ids = Facts("flags", (3,), "bool"), Facts("ids", (2,), "int32")
    assert [one.dtype for one in signatures([flags, ids])] == ["uint8", "int32"]
    assert input_signatures([ids])[0].scale is None
    with pytest.raises(UsageError, match="input flags is bool") as caught:
        input_signatures([flags])
    assert "int8 input" in caught.value.hint
