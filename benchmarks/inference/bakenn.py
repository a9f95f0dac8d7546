"""bakenn, an ahead-of-time compiler from PyPI, as a contender: portable C, and with the CMSIS-NN it brings along.

It runs in the Python that ``BAKENN_PYTHON`` names (this one by default), which needs ``pip install "bakenn[tflite]"``.
Models as exported it mostly refuses; then it gets a simplified one, with a reference of its own, and a note says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.inference.engine import GLUE, Candidate
from benchmarks.inference.errors import EngineBroken, Refused
from benchmarks.inference.reference import Reference, run_reference
from benchmarks.inference.tflite_file import simplified
from hil.bare import Engine, SourceFile

SCRIPT = GLUE / "bakenn_compile.py"
REFUSES = 3
"""Exit code of the script when bakenn refuses the model."""

TIMEOUT_S = 120
FLAGS = ("-std=gnu11", "-w")


@dataclass(frozen=True, slots=True)
class Bakenn:
    """One of bakenn's two back ends; ``variant`` is ``portable`` or ``cmsis-nn``."""

    name: str
    variant: str

    def missing(self, board: str) -> str:
        """Whether a Python with bakenn is there, and kernels for the board."""
        if self.variant == "cmsis-nn" and board != "qemu-mps2-an386":
            return "its CMSIS-NN kernels are planned for a Cortex-M4 only"
        if not _importable(_python()):
            return f'{_python()} has no bakenn: pip install "bakenn[tflite]", or set BAKENN_PYTHON to a Python with it'
        return ""

    def check(self, model: bytes, board: str) -> None:
        """It has nothing to say of a model that the reference refuses."""

    def prepare(self, model: bytes, reference: Reference, board: str, folder: Path) -> Candidate:
        """Generate C, from the model as exported if bakenn takes it.

        Raises:
            Refused: bakenn does not take the simplified model either.
        """
        try:
            return Candidate(self._generate(model, folder / "exported"), reference)
        except Refused as refusal:
            changed, changes = simplified(model)
            if not changes:
                raise
            program = self._generate(changed, folder / "simplified")
            own = run_reference(changed, len(reference.inputs), folder)
            return Candidate(program, own, f"measured {', '.join(changes)}; as exported it refuses: {refusal.message}")

    def _generate(self, model: bytes, folder: Path) -> Engine:
        folder.mkdir()
        file = folder / "model.tflite"
        file.write_bytes(model)
        command = [_python(), str(SCRIPT), str(file), str(folder / "c"), self.variant]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        if done.returncode == REFUSES:
            raise Refused(done.stderr.strip())
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise EngineBroken(f"bakenn failed: {lines[-1]}")
        report = json.loads(done.stdout)
        sources = [SourceFile(GLUE / "bakenn.c"), *(SourceFile(Path(path)) for path in report["sources"])]
        include = tuple(Path(path) for path in report["include"])
        return Engine(self.name, tuple(sources), include=include, flags=FLAGS)


def contenders() -> tuple[Bakenn, Bakenn]:
    """Both back ends."""
    return Bakenn("bakenn", "portable"), Bakenn("bakenn+cmsis-nn", "cmsis-nn")


def _python() -> str:
    return os.environ.get("BAKENN_PYTHON") or sys.executable


@cache
def _importable(python: str) -> bool:
    command = [python, "-c", "import bakenn, tflite"]
    try:
        return subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
