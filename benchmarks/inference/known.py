"""The guard: what our compiler takes for known models, and whether it grew.

``benchmarks/known_models.json`` holds the figures of the seeded models, and of MLPerf Tiny's for machines that have
them. Counts depend on the C compiler, so the file names the one they were taken with.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.inference.goals import MLPERF_TINY
from benchmarks.inference.measure import costs
from benchmarks.inference.ours import Flota
from benchmarks.inference.reference import Reference, samples
from benchmarks.inference.rows import FIGURES
from benchmarks.inference.seeded import SEEDED
from benchmarks.inference.tflite_file import read_signature
from flota.files import write_atomic
from flota.toolchain import Compiler
from hil.bare import Inference, measure_bare

REPOSITORY = Path(__file__).resolve().parents[2]
KNOWN_FILE = REPOSITORY / "benchmarks" / "known_models.json"
BOARD = "qemu-mps2-an386"
TOLERANCE = 0.01
"""A figure may grow by this fraction."""

Figures = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Known:
    """What was measured, by model name, and the C compiler's version line."""

    compiler: str
    models: Mapping[str, Figures]


def mlperf_file(name: str) -> Path:
    """Where MLPerf Tiny's model of that name lies, in the folder FLOTA_MLPERF_TINY."""
    folder = os.environ.get("FLOTA_MLPERF_TINY", REPOSITORY.parent / "shared" / "data" / "mlperf_tiny")
    return Path(folder) / f"{name}_int8.tflite"


def known_names() -> tuple[str, ...]:
    """All models of the guard, those of MLPerf Tiny last."""
    return (*SEEDED, *(known.name for known in MLPERF_TINY))


def known_model(name: str) -> bytes | None:
    """The bytes of one of ``known_names``; None where its file is missing."""
    if name in SEEDED:
        return SEEDED[name]()
    file = mlperf_file(name)
    return file.read_bytes() if file.is_file() else None


def measure_known(model: bytes) -> dict[str, int]:
    """Figures of one inference on random input; outputs are not checked here."""
    signature = read_signature(model)
    inputs = tuple(value.tobytes() for value in samples(signature, 3)[2])
    candidate = Flota().prepare(model, Reference(signature, (inputs,), ((),)), BOARD, Path())
    report = measure_bare(candidate.program, [Inference(b"".join(inputs))], board=BOARD)
    instructions, cycles = costs(report)
    values = (instructions, cycles or 0, report.ram_bytes, report.flash_bytes)
    return dict(zip(FIGURES, values, strict=True))


def load_known() -> Known:
    """The committed figures."""
    text = json.loads(KNOWN_FILE.read_text())
    return Known(text["compiler"], text["models"])


def save_known(models: Mapping[str, Figures]) -> None:
    """Write the figures with this machine's compiler; models that are missing here keep theirs.

    Raises:
        MissingTool: the cross-compiler is not installed.
        StorageError: the file cannot be written.
    """
    kept = load_known().models if KNOWN_FILE.is_file() else {}
    merged = {name: {**kept, **models}[name] for name in known_names() if name in {**kept, **models}}
    text = {"compiler": Compiler().version(), "board": BOARD, "models": merged}
    write_atomic(KNOWN_FILE, json.dumps(text, indent=1).encode() + b"\n")


def growth(known: Figures, now: Figures) -> list[str]:
    """The figures that grew by more than ``TOLERANCE``, in words; modelled cycles are not held."""
    held = [figure for figure in FIGURES if figure != "cycles_modelled"]
    return [
        f"{figure} {known[figure]:,} -> {now[figure]:,} ({now[figure] / known[figure] - 1:+.1%})"
        for figure in held
        if now[figure] > known[figure] * (1 + TOLERANCE)
    ]
