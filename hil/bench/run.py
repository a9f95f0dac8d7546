"""The core of every bench: warm up, run N inferences, check every output, keep every reading. No I/O of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from flota.bundle import TensorSignature
from hil.bench.report import OutputCheck

Progress: TypeAlias = Callable[[int, int], None]
"""Called with (steps done, steps in all); for inferences, warm-up included."""

Watch: TypeAlias = Callable[[str], Progress | None]
"""Called with the name of a stage that begins; gives what to report its progress to."""


def unwatched(_stage: str) -> Progress | None:
    """A :data:`Watch` that shows nothing."""
    return None


@dataclass(frozen=True, slots=True)
class Reading:
    """One inference: its output bytes and what it cost, in the probe's unit (instructions or milliseconds)."""

    output: bytes
    cost: float


class Probe(Protocol):
    """Something that runs one inference and says what it cost: a board over its link, a runtime on this machine."""

    def measure(self, case: bytes) -> Reading:
        """Run one case: input tensors' bytes in signature order. A streaming model starts anew for it."""
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """An input and the output it must give."""

    inputs: bytes
    expected: bytes


@dataclass(frozen=True, slots=True)
class Comparison:
    """When an output counts as equal: byte for byte, or within ``tolerance`` for float tensors."""

    outputs: tuple[TensorSignature, ...] = ()
    tolerance: float = 0.0

    def equal(self, output: bytes, expected: bytes) -> bool:
        """Whether ``output`` is what it must be."""
        if output == expected or not self.tolerance:
            return output == expected
        if len(output) != len(expected) or len(output) != sum(tensor.size_bytes for tensor in self.outputs):
            return False
        offset = 0
        for tensor in self.outputs:
            end = offset + tensor.size_bytes
            if not _close(tensor, output[offset:end], expected[offset:end], self.tolerance):
                return False
            offset = end
        return True


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a bench run gives: the cost of every counted inference, in order, and the output check."""

    costs: tuple[float, ...]
    outputs: OutputCheck


def run_bench(
    probe: Probe,
    cases: Sequence[Case],
    *,
    warmup: int,
    inferences: int,
    reference: str,
    comparison: Comparison | None = None,
    progress: Progress | None = None,
) -> Measurement:
    """Run ``warmup`` uncounted and ``inferences`` counted inferences, going round the cases; check all outputs.

    The outputs of the warm-up are checked too: a first inference that is wrong is wrong.

    Raises:
        ValueError: No cases, or no inferences.
        FlotaError: Whatever the probe raises; the bench ends there.
    """
    if not cases or inferences < 1 or warmup < 0:
        raise ValueError("a bench needs at least one case and one inference")
    comparison = comparison or Comparison()
    costs: list[float] = []
    equal, first_difference = 0, ""
    total = warmup + inferences
    for number in range(total):
        index = (number - warmup) % len(cases)
        reading = probe.measure(cases[index].inputs)
        if comparison.equal(reading.output, cases[index].expected):
            equal += 1
        elif not first_difference:
            first_difference = describe_difference(index, reading.output, cases[index].expected)
        if number >= warmup:
            costs.append(reading.cost)
        if progress is not None:
            progress(number + 1, total)
    outputs = OutputCheck(
        reference=reference, cases=len(cases), checked=total, equal=equal, first_difference=first_difference
    )
    return Measurement(costs=tuple(costs), outputs=outputs)


def describe_difference(case: int, output: bytes, expected: bytes) -> str:
    """One line that says where an output differs first."""
    if len(output) != len(expected):
        return f"case {case}: {len(output)} bytes, {len(expected)} expected"
    at = next(i for i, (a, b) in enumerate(zip(output, expected, strict=True)) if a != b)
    wrong = sum(a != b for a, b in zip(output, expected, strict=True))
    return f"case {case}: byte {at} is 0x{output[at]:02x}, must be 0x{expected[at]:02x}; {wrong} bytes differ"


def _close(tensor: TensorSignature, output: bytes, expected: bytes, tolerance: float) -> bool:
    if tensor.dtype != "float32":
        return output == expected
    got = np.frombuffer(output, dtype=np.float32)
    return bool(np.allclose(got, np.frombuffer(expected, dtype=np.float32), rtol=0.0, atol=tolerance))
