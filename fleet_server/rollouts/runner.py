"""The shell around the engine: it ticks when a device reported something, and at least every ``tick_s``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import SQLAlchemyError

from fleet_server.assignments import Director
from fleet_server.config import Settings
from fleet_server.database import Database
from fleet_server.rollouts import lease, store
from flota.errors import FlotaError

LEASE = "rollouts"

log = logging.getLogger("flota.rollouts")


class Runner:
    """Runs the rollouts of one database while it holds the lease; ``holder`` is unique to this process."""

    def __init__(
        self,
        database: Database,
        director: Director,
        settings: Settings,
        holder: str,
        publish: Callable[[], Awaitable[None]],
    ) -> None:
        self._database = database
        self._director = director
        self._settings = settings
        self._holder = holder
        self._publish = publish
        self._woken = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.leads = False
        self.ticks = 0

    def wake(self) -> None:
        """Tick soon; may be called from any thread."""
        self._loop.call_soon_threadsafe(self._woken.set)

    async def run(self) -> None:
        """Tick until cancelled, then give the lease back."""
        try:
            while True:
                await self._tick()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), self._settings.tick_s)
                self._woken.clear()
        finally:
            with self._database.write() as session:
                lease.release(session, LEASE, self._holder)

    async def _tick(self) -> None:
        try:
            self.leads = await asyncio.to_thread(self.step)
            self.ticks += 1
            if self.leads:
                await self._publish()
        except (SQLAlchemyError, FlotaError) as error:  # a full disk must not end the server; the next tick tries again
            log.error("rollouts: %s", error)

    def step(self) -> bool:
        """Let every unfinished rollout step, if the lease is ours; returns whether it is."""
        now = time.time()
        with self._database.write() as session:
            if not lease.acquire(session, LEASE, self._holder, now=now, lifetime_s=self._settings.lease_s):
                return False
        with self._database.read() as session:
            waiting = store.unfinished(session)
        for identity in waiting:
            self._advance(identity, now)
        return True

    def _advance(self, identity: int, now: float) -> None:
        """A rollout that cannot go on, such as one of a release that is not listed any more, holds up no other."""
        try:
            with self._database.write() as session:
                store.advance(session, identity, self._director, now)
        except FlotaError as error:
            log.error("rollout %d: %s", identity, error)
