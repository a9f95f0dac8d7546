"""One shared poll: however many browsers show the same view, the database is asked once per period.

Reads are synchronous service functions, run in a thread. A read that is under way is shared, and its answer is given to
everybody who asks for the same key within ``max_age_s``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar, cast

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Read:
    task: asyncio.Task[object]
    begun_s: float


class Feed:
    """Shares reads by key.

    Args:
        max_age_s: How old (seconds since the read began) an answer may be.
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, max_age_s: float = 0.4, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_age_s = max_age_s
        self._clock = clock
        self._reads: dict[Hashable, _Read] = {}

    async def read(self, key: Hashable, load: Callable[[], T]) -> T:
        """The answer of ``load``, perhaps from a moment ago; raises what ``load`` raises, to all who share it."""
        now = self._clock()
        read = self._reads.get(key)
        if read is None or now - read.begun_s > self._max_age_s:
            self._forget_old(now)
            read = _Read(asyncio.create_task(asyncio.to_thread(load)), now)
            self._reads[key] = read
        # shielded: one browser that goes away must not cancel the read the others wait for
        return cast("T", await asyncio.shield(read.task))

    def forget(self) -> None:
        """Ask the database again next time: something was just changed."""
        self._reads.clear()

    def _forget_old(self, now: float) -> None:
        self._reads = {
            key: read
            for key, read in self._reads.items()
            if now - read.begun_s <= self._max_age_s or not read.task.done()
        }
