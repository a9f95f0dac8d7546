"""The agent without its network: machine, work, model and journal of one device, and how they start after anything."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from device_agent.backoff import Backoff
from device_agent.errors import BoardAbsent, JournalError
from device_agent.host import Host
from device_agent.installers.base import Installer
from device_agent.journal import Journal
from device_agent.machine import Machine
from device_agent.state import AgentState, Booted, Noted, Started
from device_agent.work import Fetcher, Verify, Worker
from flota.errors import FlotaError
from flota.messages import Running

logger = logging.getLogger(__name__)


class Core:
    """One device.

    Args:
        installer: What the device is.
        journal: Where its state is.
        fetcher: Brings bundles.
        verify: Says whether a bundle is the released one; blocks.
        probe_interval_s: Between two bursts of probes in probation.
        report: Called, without blocking, when the server should hear something.

    Raises:
        StorageError: The journal cannot be read.
    """

    def __init__(
        self,
        *,
        installer: Installer,
        journal: Journal,
        fetcher: Fetcher,
        verify: Verify,
        probe_interval_s: float,
        report: Callable[[], None],
    ) -> None:
        self.installer = installer
        self.host = Host(installer)
        state, self._complaint = load_state(journal)
        worker = Worker(
            installer=installer,
            host=self.host,
            fetcher=fetcher,
            verify=verify,
            state=lambda: self.machine.state,
            note=self.note,
            probe_interval_s=probe_interval_s,
        )
        self.machine = Machine(state, journal, worker.perform, report)

    async def start(self, tasks: TaskGroup) -> None:
        """Run inside ``tasks``; on return the model serves, if the device has one and is there."""
        tasks.start_soon(self.machine.run)
        await self.machine.post(Booted(time.time()))
        if self._complaint is not None:
            await self.note(Noted(time.time(), self._complaint.code, self._complaint.message))
        if not await self._recover():
            await self.note(Noted(time.time(), BoardAbsent.code, "the board does not answer"))
            tasks.start_soon(self._recover_later)

    async def note(self, noted: Noted) -> None:
        """Tell the server something that moves nothing."""
        await self.machine.post(noted)

    async def _recover(self) -> bool:
        state = self.machine.state
        try:
            running = await to_thread.run_sync(self.installer.recover, state)
        except FlotaError as error:
            logger.warning("the device cannot be asked what it runs: %s (%s)", error.message, error.code)
            return False
        running = _since(running, state.running)
        self.host.begin_window()
        logger.info("running %s", f"{running.model} {running.version} in slot {running.slot}" if running else "nothing")
        await self.machine.post(Started(time.time(), running))
        return True

    async def _recover_later(self) -> None:
        backoff = Backoff(first_s=1.0, cap_s=15.0)
        while True:
            await anyio.sleep(backoff.next())
            if await self._recover():
                return


def load_state(journal: Journal) -> tuple[AgentState, FlotaError | None]:
    """The journal's state, or a new one and why the journal could not be read. The model on the device is kept."""
    try:
        state = journal.load()
    except JournalError as error:
        logger.error("%s: starting over with the model on the device", error.message)
        return _fresh_state(), error
    return state or _fresh_state(), None


def clock_seq() -> int:
    """A sequence number above any that this device can have used before it lost its disk: milliseconds since 1970."""
    return int(time.time() * 1000)


def sweep(*folders: Path) -> None:
    """Delete the temporary files of writes that a crash cut short (:mod:`flota.files` names them ``.NAME.…``)."""
    for folder in folders:
        for path in folder.glob(".*"):
            if path.is_file():
                with contextlib.suppress(OSError):
                    path.unlink()


def _fresh_state() -> AgentState:
    seq = clock_seq()
    return AgentState(seq=seq, event_seq=seq)


def _since(running: Running | None, known: Running | None) -> Running | None:
    """``running`` with the time since when, where the journal knows it."""
    if running is None or running.since:
        return running
    same = known is not None and known.sha256 == running.sha256 and known.slot == running.slot
    return running.model_copy(update={"since": known.since if same and known is not None else time.time()})
