"""Flota's own compiler as a contender."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.inference.engine import Candidate
from benchmarks.inference.reference import Reference
from hil.bare import flota_engine
from optimize.compiler import CompiledModel, compile_tflite

CORES: Mapping[str, str] = {"qemu-mps2-an386": "cortex-m4", "qemu-mps3-an547": "cortex-m55"}
"""The compiler's core by board; ``portable`` on any other."""


class Flota:
    """The model compiled ahead of time to C."""

    name = "flota"

    def missing(self, board: str) -> str:
        """It is always there."""
        return ""

    def check(self, model: bytes, board: str) -> None:
        """Let the compiler say why it refuses the model.

        Raises:
            OptimizeError: it does.
        """
        _compile(model, board)

    def prepare(self, model: bytes, reference: Reference, board: str, folder: Path) -> Candidate:
        """Compile it with the kernels of the board's core.

        Raises:
            OptimizeError: the compiler refuses the model.
        """
        return Candidate(flota_engine([_compile(model, board)]), reference)


def _compile(model: bytes, board: str) -> CompiledModel:
    return compile_tflite(model, name="model", core=CORES.get(board, "portable"))
