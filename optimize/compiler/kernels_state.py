"""Kernel calls of the state."""

from __future__ import annotations

from dataclasses import dataclass

from optimize.compiler.kernels import Kernel


@dataclass(frozen=True, slots=True)
class CopyCall(Kernel):
    """``count`` bytes to another place."""

    count: int

    @property
    def sources(self) -> tuple[str, ...]:
        """``memcpy`` is the C library's."""
        return ()
