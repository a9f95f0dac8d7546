"""One model through all engines: the same inputs, the same board, every output checked against the interpreter."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median_high

from benchmarks.inference.engine import Candidate, Contender
from benchmarks.inference.errors import Refused
from benchmarks.inference.reference import Reference, run_reference
from benchmarks.inference.rows import Measured, Row
from flota.errors import FlotaError
from hil.bare import BareReport, Inference, measure_bare

DEADLINE_S = 600.0
"""How long the emulator may take over all inferences of one engine."""

_TOO_LARGE = ("overflowed", "will not fit")
"""What the linker says of a program that is larger than the board."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How models are measured: on which board, by which engines, with how many inferences.

    ``progress`` is told in a few words what comes next.
    """

    board: str
    contenders: Sequence[Contender]
    inferences: int
    progress: Callable[[str], None]


def measure_model(name: str, model: bytes, plan: Plan) -> Iterator[Measured]:
    """A row for every engine of ``plan``; what goes wrong with one of them is in its row and ends nothing."""
    with tempfile.TemporaryDirectory(prefix="flota-inference-") as scratch:
        plan.progress(f"{name}: reference")
        reference = _reference(model, plan.inferences, Path(scratch))
        for contender in plan.contenders:
            plan.progress(f"{name}: {contender.name}")
            folder = Path(scratch) / contender.name
            folder.mkdir()
            yield _attempt(Row(name, contender.name), model, contender, reference, plan.board, folder)


def _reference(model: bytes, inferences: int, folder: Path) -> Reference | Refused:
    try:
        return run_reference(model, inferences, folder)
    except Refused as error:
        return error


def _attempt(
    row: Row, model: bytes, contender: Contender, reference: Reference | Refused, board: str, folder: Path
) -> Measured:
    try:
        if isinstance(reference, Refused):
            contender.check(model, board)
            raise reference
        candidate = contender.prepare(model, reference, board, folder)
    except FlotaError as error:
        return Measured(replace(row, refused=_one_line(error)))
    except Exception as error:  # an engine that breaks on one model must not end the comparison of the others
        return Measured(replace(row, refused=f"it broke: {_one_line(error)}"), failed=True)
    try:
        return _run(row, candidate, board)
    except FlotaError as error:
        too_large = any(words in error.message for words in _TOO_LARGE)
        return Measured(replace(row, refused=_one_line(error)), candidate.note, failed=not too_large)


def _run(row: Row, candidate: Candidate, board: str) -> Measured:
    inferences = [Inference(b"".join(inputs)) for inputs in candidate.reference.inputs]
    report = measure_bare(candidate.program, inferences, board=board, deadline_s=DEADLINE_S)
    expected = [b"".join(outputs) for outputs in candidate.reference.outputs]
    identical = [run.output for run in report.runs] == expected
    instructions, cycles = costs(report)
    return Measured(
        replace(
            row,
            instructions=instructions,
            cycles_modelled=cycles,
            ram_bytes=report.ram_bytes,
            flash_bytes=report.flash_bytes,
            identical=identical,
        ),
        candidate.note,
        failed=not identical,
    )


def costs(report: BareReport) -> tuple[int, int | None]:
    """Instructions and modelled cycles of an inference, the median of all; no cycles where none are modelled."""
    instructions = [run.instructions for run in report.runs if run.instructions is not None]
    cycles = [run.cycles_modelled for run in report.runs if run.cycles_modelled is not None]
    return median_high(instructions), median_high(cycles) if cycles else None


def _one_line(error: Exception) -> str:
    text = error.message if isinstance(error, FlotaError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())
