"""The shell around :mod:`device_agent.state`: takes events one by one, persists, then lets the effects happen.

Work runs beside the machine, one piece at a time, and comes back as an event. Nothing else changes the state.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio
from anyio import CancelScope, to_thread

from device_agent.state import AgentEvent, AgentState, Effect, Report, Rest, Work, step
from flota.errors import StorageError

logger = logging.getLogger(__name__)
_DISK_RETRY_S = 5.0
_QUEUE = 1024


class StateStore(Protocol):
    """Where the state is persisted; :class:`device_agent.journal.Journal` is the one on disk."""

    def save(self, state: AgentState) -> None:
        """Make the state durable, or raise StorageError and keep the former one."""
        ...


Perform = Callable[[Work], Awaitable[AgentEvent]]


class Machine:
    """One state machine, its journal and the work it orders.

    Args:
        state: What the journal holds.
        store: The journal.
        perform: Does one piece of work and returns the event it ends with; cancelled when the work is called off.
        report: Called, without blocking, after each persisted change that the server should hear of.
    """

    def __init__(self, state: AgentState, store: StateStore, perform: Perform, report: Callable[[], None]) -> None:
        self.state = state
        self._store = store
        self._perform = perform
        self._report = report
        self._send, self._receive = anyio.create_memory_object_stream[tuple[AgentEvent, anyio.Event]](_QUEUE)
        self._wanted: Work | None = None
        self._changed = anyio.Event()
        self._scope: CancelScope | None = None

    async def post(self, event: AgentEvent) -> None:
        """Hand in an event; returns when it was taken, persisted and its effects were ordered."""
        done = anyio.Event()
        await self._send.send((event, done))
        await done.wait()

    async def run(self) -> None:
        """Take events until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._work)
            async for event, done in self._receive:
                await self._take(event)
                done.set()

    async def _take(self, event: AgentEvent) -> None:
        state, effects = step(self.state, event)
        if state is self.state:
            return
        await self._persist(state)
        if state.phase is not self.state.phase:
            counter = state.job.assignment.counter if state.job else state.counter
            logger.info("phase=%s event=%s counter=%d", state.phase.value, type(event).__name__, counter)
        self.state = state
        for effect in effects:
            self._order(effect)

    async def _persist(self, state: AgentState) -> None:
        """Until it is on disk: with a full disk the agent serves on and waits; it never acts on what is not saved."""
        while True:
            try:
                with CancelScope(shield=True):
                    await to_thread.run_sync(self._store.save, state)
                return
            except StorageError as error:
                logger.error("journal cannot be written: %s", error.message)
                await anyio.sleep(_DISK_RETRY_S)

    def _order(self, effect: Effect) -> None:
        if isinstance(effect, Report):
            self._report()
            return
        self._wanted = None if isinstance(effect, Rest) else effect
        self._changed.set()
        if self._scope is not None:
            self._scope.cancel()

    async def _work(self) -> None:
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            work = self._wanted
            if work is None:
                continue
            event: AgentEvent | None = None
            with CancelScope() as self._scope:
                event = await self._perform(work)
            self._scope = None
            if event is not None and self._wanted is work:
                self._wanted = None
                await self.post(event)
