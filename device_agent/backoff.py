"""Waiting before another try: exponential, capped, with full jitter so that a fleet does not come back in step."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Delays in seconds: uniform between ``floor_s`` and min(``cap_s``, ``first_s`` · 2^n) of the n-th try in a row."""

    first_s: float = 0.5
    cap_s: float = 60.0
    floor_s: float = 0.05
    _tries: int = 0
    _random: random.Random = field(default_factory=random.SystemRandom)

    def next(self) -> float:
        """The delay before the next try."""
        ceiling = min(self.cap_s, self.first_s * 2 ** min(self._tries, 30))
        self._tries += 1
        return self._random.uniform(min(self.floor_s, ceiling), ceiling)

    def reset(self) -> None:
        """It worked: the next failure starts over."""
        self._tries = 0
