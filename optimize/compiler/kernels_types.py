"""Kernel calls between types of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optimize.compiler.kernels import Kernel
from optimize.compiler.leads import element_lead

SUFFIXES = {"bool": "s8", "int8": "s8", "uint8": "u8", "int16": "s16", "int32": "s32", "float32": "f32"}
"""Type -> how names of kernels tell it."""

BYTES = {"bool": 1, "int8": 1, "uint8": 1, "int16": 2, "int32": 4, "float32": 4}


@dataclass(frozen=True, slots=True)
class RescaleCall(Kernel):
    """``count`` values of type ``source`` times a factor, saturated to ``target``."""

    SOURCE: ClassVar[str] = "src/nn/rescale.c"
    count: int
    source: str
    target: str
    input_offset: int
    multiplier: int
    shift: int
    output_offset: int

    def lead(self, operand: int) -> int | None:
        """Every value is read, then its result is written; int16_t and int32_t may not alias each other."""
        if {self.source, self.target} == {"int16", "int32"}:
            return None
        first_read = np.arange(self.count, dtype=np.int64) * BYTES[self.source]
        return element_lead(first_read, bytes_each=BYTES[self.target])


@dataclass(frozen=True, slots=True)
class CastCall(Kernel):
    """The same ``count`` numbers in another type; what does not fit loses its upper bits."""

    SOURCE: ClassVar[str] = "src/nn/cast.c"
    count: int
    source: str
    target: str

    def lead(self, operand: int) -> int | None:
        """Every value is read, then written; what is no byte may not alias what is another type."""
        if 1 not in (BYTES[self.source], BYTES[self.target]):
            return None
        first_read = np.arange(self.count, dtype=np.int64) * BYTES[self.source]
        return element_lead(first_read, bytes_each=BYTES[self.target])
