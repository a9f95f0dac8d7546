"""Kernel calls that copy bytes, whatever they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optimize.compiler.kernels import Kernel, walk_places
from optimize.compiler.leads import NEVER, Numbers, order_lead


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

    def places(self, strides: tuple[int, ...], offset: int) -> Numbers:
        """Where each run begins, in the order they are moved."""
        return walk_places(tuple(zip(self.extents, strides, strict=True))) + offset


@dataclass(frozen=True, slots=True)
class MoveCall(Kernel):
    """All ``moves`` in turn; before them the ``filled_bytes`` bytes of result 0 are set to ``fill``."""

    SOURCE: ClassVar[str] = "src/nn/move.c"
    moves: tuple[ByteMove, ...]
    fill: int = 0
    filled_bytes: int = 0

    def lead(self, operand: int) -> int | None:
        """Run by run, in the order of the moves; a run may overlap itself (memmove)."""
        if self.filled_bytes:
            return None
        written, first_read = [], []
        for move in self.moves:
            reads = move.places(move.source_strides, move.source_offset)
            ends = move.places(move.target_strides, move.target_offset) + move.run
            first_read.append(reads if move.source == operand else np.full_like(reads, NEVER))
            written.append(ends if move.target == 0 else np.zeros_like(ends))
        return order_lead(np.maximum.accumulate(np.concatenate(written)), np.concatenate(first_read))


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

    def lead(self, operand: int) -> int | None:
        """Run by run, in the order of the output; a run may overlap itself (memmove)."""
        outer, rows, columns = self.shape
        lines = np.arange(outer, dtype=np.int64)[:, None] * rows + np.array(self.rows, np.int64)
        reads = (lines[:, :, None] * columns + np.array(self.columns, np.int64)).reshape(-1) * self.run
        return order_lead(np.arange(1, len(reads) + 1, dtype=np.int64) * self.run, reads)


@dataclass(frozen=True, slots=True)
class PickCall(Kernel):
    """Output [batch][outer][i] is ``run`` bytes of input [batch][outer][positions[batch][i]].

    Nothing may overlap: what is read when is known at run time only.
    """

    SOURCE: ClassVar[str] = "src/nn/pick.c"
    batch: int
    outer: int
    count: int
    picks: int
    run: int
