"""Kernel calls of linear functions of two int8 values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optimize.compiler.kernels import Kernel, walk_lead


@dataclass(frozen=True, slots=True)
class LinearCall(Kernel):
    """clamp((left * factors[0] + right * factors[1] + bias) >> shift) over ``extents``.

    One input stride per axis, 0 repeats the element; no sum of int8 values leaves int32.
    """

    SOURCE: ClassVar[str] = "src/nn/linear.c"
    extents: tuple[int, ...]
    strides: tuple[tuple[int, ...], tuple[int, ...]]
    factors: tuple[int, int]
    bias: int
    shift: int
    clamp: tuple[int, int]

    def lead(self, operand: int) -> int | None:
        """Every value reads one element of each input, then is written."""
        return walk_lead(self.extents, self.strides[operand])
