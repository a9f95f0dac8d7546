"""Kernel calls that copy bytes, whatever they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optimize.compiler.kernels import Kernel


@dataclass(frozen=True, slots=True)
class ByteMove:
    """``run`` bytes for every index over ``extents``, from operand ``source`` to result ``target``; all in bytes.

    ``extents`` has 1 to MAX_RANK axes; the strides have as many.
    """

    extents: tuple[int, ...]
    source_strides: tuple[int, ...]
    target_strides: tuple[int, ...]
    run: int
    source_offset: int
    target_offset: int
    source: int
    target: int


@dataclass(frozen=True, slots=True)
class MoveCall(Kernel):
    """All ``moves`` in turn; before them the ``filled_bytes`` bytes of result 0 are set to ``fill``."""

    SOURCE: ClassVar[str] = "src/nn/move.c"
    moves: tuple[ByteMove, ...]
    fill: int = 0
    filled_bytes: int = 0


@dataclass(frozen=True, slots=True)
class TakeCall(Kernel):
    """Output [outer][i][j] is ``run`` bytes of input [outer][rows[i]][columns[j]]; ``shape``: the input's, in runs."""

    SOURCE: ClassVar[str] = "src/nn/take.c"
    shape: tuple[int, int, int]
    run: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return 2 * (len(self.rows) + len(self.columns))
