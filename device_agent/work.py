"""What each phase of an update does, over the installer, the downloader and the trust client.

A piece of work ends with one event. Trouble that may pass (no network, no board) is waited out in here and told once;
every other error becomes a :class:`~device_agent.state.Failed`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

import anyio
from anyio import to_thread

from device_agent.backoff import Backoff
from device_agent.errors import BoardAbsent, BoardFellBack, NoModel, SlotError
from device_agent.health import judge
from device_agent.host import Host
from device_agent.installers.base import Installer
from device_agent.state import (
    AgentEvent,
    AgentState,
    Committed,
    Downloaded,
    Failed,
    Installed,
    Job,
    Judged,
    Noted,
    Reverted,
    SelfTested,
    Switched,
    Verified,
    Work,
)
from device_agent.verify import is_refusal
from flota.bundle import Bundle
from flota.errors import FlotaError
from flota.messages import Assignment, Phase
from flota.trust.errors import FetchFailed

logger = logging.getLogger(__name__)


class Fetcher(Protocol):
    """Brings bundles to this machine; :class:`device_agent.download.Downloader` does."""

    def archive(self, assignment: Assignment) -> Path:
        """Where the whole file of this assignment is, or will be."""
        ...

    async def fetch(self, assignment: Assignment) -> None:
        """Bring it there; its digest is still to be verified."""
        ...

    def forget(self) -> None:
        """Delete what was fetched."""
        ...


Verify = Callable[[Assignment, Path, Callable[[Bundle], None], int], int]
"""(assignment, archive, suits, floor) → the release's floor; blocks, see :func:`device_agent.verify.verify_bundle`."""


class Worker:
    """Performs :class:`Work`.

    Args:
        installer: The device.
        host: Probes the model that serves.
        fetcher: Downloads.
        verify: Says whether a download is the released bundle.
        state: The machine's state now.
        note: Told about trouble that is being waited out.
        probe_interval_s: Time between two bursts of probes in probation.
    """

    def __init__(
        self,
        *,
        installer: Installer,
        host: Host,
        fetcher: Fetcher,
        verify: Verify,
        state: Callable[[], AgentState],
        note: Callable[[Noted], Awaitable[None]],
        probe_interval_s: float,
    ) -> None:
        self._installer = installer
        self._host = host
        self._fetcher = fetcher
        self._verify = verify
        self._state = state
        self._note = note
        self._probe_interval_s = probe_interval_s
        self._steps: Mapping[Phase, Callable[[Job], Awaitable[AgentEvent]]] = {
            Phase.DOWNLOAD: self._download,
            Phase.VERIFY: self._check,
            Phase.INSTALL: self._install,
            Phase.SELF_TEST: self._self_test,
            Phase.SWITCH: self._switch,
            Phase.PROBATION: self._watch,
            Phase.CONFIRM: self._confirm,
            Phase.ROLL_BACK: self._roll_back,
        }

    async def perform(self, work: Work) -> AgentEvent:
        """Do what the phase asks for."""
        backoff, told = Backoff(cap_s=15.0), ""
        while True:
            try:
                return await self._steps[work.phase](work.job)
            except FlotaError as error:
                passing = isinstance(error, (BoardAbsent, FetchFailed)) or work.phase is Phase.ROLL_BACK
                logger.warning("%s: %s (%s)", work.phase.value, error.message, error.code)
                if not passing:
                    return _failed(work.job, error)
                if told != error.code:
                    told = error.code
                    await self._note(Noted(time.time(), error.code, error.message))
            except Exception as error:
                logger.exception("%s: an unexpected error", work.phase.value)
                if work.phase is not Phase.ROLL_BACK:
                    return Failed(time.time(), _counter(work.job), "agent.internal", f"{type(error).__name__}: {error}")
            await anyio.sleep(backoff.next())

    async def _download(self, job: Job) -> AgentEvent:
        await self._fetcher.fetch(job.assignment)
        return Downloaded(time.time(), _counter(job))

    async def _check(self, job: Job) -> AgentEvent:
        archive = self._fetcher.archive(job.assignment)
        floor = self._state().security_floor
        try:
            release_floor = await to_thread.run_sync(
                self._verify, job.assignment, archive, self._installer.check, floor
            )
        except FlotaError as error:
            if is_refusal(error):
                self._fetcher.forget()
            raise
        return Verified(time.time(), _counter(job), release_floor)

    async def _install(self, job: Job) -> AgentEvent:
        await to_thread.run_sync(self._installer.install, job, self._fetcher.archive(job.assignment))
        self._fetcher.forget()
        return Installed(time.time(), _counter(job))

    async def _self_test(self, job: Job) -> AgentEvent:
        await to_thread.run_sync(self._installer.self_test, job)
        return SelfTested(time.time(), _counter(job), await self._baseline())

    async def _baseline(self) -> float | None:
        """A version whose own probes fail gives no baseline; that must not keep its successor away."""
        try:
            return await self._host.baseline()
        except BoardAbsent:
            raise
        except FlotaError as error:
            logger.warning("no baseline: %s", error.message)
            return None

    async def _switch(self, job: Job) -> AgentEvent:
        await to_thread.run_sync(self._installer.activate, job)
        self._host.begin_window()
        return Switched(time.time(), _counter(job))

    async def _watch(self, job: Job) -> AgentEvent:
        limits, probation_s = job.assignment.limits, job.assignment.probation_s
        window = self._host.begin_window()
        begin = anyio.current_time()
        interval_s = min(self._probe_interval_s, probation_s / 4)
        while True:
            over = anyio.current_time() - begin >= probation_s
            try:
                await to_thread.run_sync(self._installer.check_running, job)
                await self._host.probe()
            except (NoModel, BoardFellBack) as error:
                return Judged(time.time(), _counter(job), "health.crashed", error.message)
            verdict = judge(window, limits, job.baseline, over=over)
            if verdict is not None:
                return Judged(time.time(), _counter(job), verdict.code, verdict.detail)
            await anyio.sleep(interval_s)

    async def _confirm(self, job: Job) -> AgentEvent:
        await to_thread.run_sync(self._installer.confirm, job)
        return Committed(time.time(), _counter(job))

    async def _roll_back(self, job: Job) -> AgentEvent:
        state = self._state()
        former = state.previous if job.switched else state.running
        try:
            await to_thread.run_sync(self._installer.revert, job, former)
        except SlotError as error:
            logger.error("the former version is lost: %s", error.message)
            await to_thread.run_sync(self._installer.revert, job, None)
            self._host.begin_window()
            return Reverted(time.time(), _counter(job), lost=True)
        self._host.begin_window()
        return Reverted(time.time(), _counter(job))


def _counter(job: Job) -> int:
    return job.assignment.counter


def _failed(job: Job, error: FlotaError) -> Failed:
    return Failed(time.time(), _counter(job), error.code, error.message, refused=is_refusal(error))
