"""What the benchmark wants of an inference engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.inference.reference import Reference
from hil.bare import Engine

GLUE = Path(__file__).resolve().parent / "glue"
"""The C and C++ that turns a peer into an engine of the bare harness."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model as an engine runs it.

    ``reference`` has the inputs it gets and the outputs it must give: those of the model as exported, unless ``note``
    says what was changed for this engine.
    """

    program: Engine
    reference: Reference
    note: str = ""


class Contender(Protocol):
    """An engine that may take part."""

    @property
    def name(self) -> str:
        """What rows call it."""
        ...

    def missing(self, board: str) -> str:
        """Empty, or why it cannot take part on this board and what to set."""
        ...

    def check(self, model: bytes, board: str) -> None:
        """Look at a model that the reference refuses, so that the engine's own reason is heard.

        Raises:
            FlotaError: the engine refuses it, too; without an error it has nothing to say.
        """
        ...

    def prepare(self, model: bytes, reference: Reference, board: str, folder: Path) -> Candidate:
        """The model for this engine; ``folder`` is empty, its own and there until the measurement is over.

        Raises:
            FlotaError: the engine refuses the model; the message is the one-line reason.
        """
        ...
