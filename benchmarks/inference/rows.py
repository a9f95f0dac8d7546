"""One row per model and engine: what was measured, or why nothing was."""

from __future__ import annotations

from dataclasses import dataclass

FIGURES = ("instructions", "cycles_modelled", "ram_bytes", "flash_bytes")
"""Instructions per inference (counted), cycles (modelled), RAM and flash in bytes; lower is better."""


@dataclass(frozen=True, slots=True)
class Row:
    """The public result, with the fields of ``--json`` in their order.

    ``refused`` is the one-line reason; all figures and ``identical`` are None then. ``cycles_modelled`` is also None
    on a board that has no cycle model.
    """

    model: str
    engine: str
    instructions: int | None = None
    cycles_modelled: int | None = None
    ram_bytes: int | None = None
    flash_bytes: int | None = None
    identical: bool | None = None
    refused: str | None = None

    def figure(self, name: str) -> int | None:
        """One of ``FIGURES``."""
        value = getattr(self, name)
        return None if value is None else int(value)


@dataclass(frozen=True, slots=True)
class Measured:
    """A row and what the reader should know of it, such as what was changed for a peer.

    ``failed``: the engine accepted the model and gave other bytes, or none.
    """

    row: Row
    note: str = ""
    failed: bool = False
