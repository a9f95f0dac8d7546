"""Kernel calls of the state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optimize.compiler.kernels import Kernel


@dataclass(frozen=True, slots=True)
class CopyCall(Kernel):
    """``count`` bytes to another place."""

    count: int

    @property
    def sources(self) -> tuple[str, ...]:
        """``memcpy`` is the C library's."""
        return ()


@dataclass(frozen=True, slots=True)
class ShiftCall(Kernel):
    """Input 0 is a window as the last invocation left it, and output 0 the same bytes after this one.

    Its last ``kept`` bytes move to its start; the other inputs, of ``fresh`` bytes each, follow them.
    """

    UPDATES_STATE: ClassVar[bool] = True
    kept: int
    fresh: tuple[int, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """``memmove`` and ``memcpy`` are the C library's."""
        return ()
