"""The agent process: every part is made here, handed what it needs, and run in one task group."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import anyio
from anyio import from_thread, to_thread
from anyio.abc import TaskGroup

from device_agent import log
from device_agent.backoff import Backoff
from device_agent.commands import Commands
from device_agent.config import AgentConfig
from device_agent.download import Downloader
from device_agent.errors import AlreadyRunning, BoardAbsent, JournalError, NotEnrolled
from device_agent.health import quantile
from device_agent.host import Host
from device_agent.http import HttpClient, http_client, tls_context
from device_agent.installers.base import Installer
from device_agent.installers.linux import LinuxInstaller
from device_agent.intake import Intake
from device_agent.journal import Journal
from device_agent.machine import Machine
from device_agent.mqtt import Broker
from device_agent.reporter import Reporter, will_of
from device_agent.serving import serving
from device_agent.slots import Slots
from device_agent.state import AgentState, Booted, Connected, Noted, Started, Stopping
from device_agent.telemetry import Reading, TelemetryQueue
from device_agent.verify import verify_bundle
from device_agent.watchdog import Watchdog
from device_agent.work import Worker
from flota.bundle import Bundle
from flota.errors import FlotaError, StorageError
from flota.messages import Ack, Assignment, Command, decode, encode
from flota.topics import Channel
from flota.trust.client import TrustedClient

logger = logging.getLogger(__name__)
_GOODBYE_S = 3.0


def run(config: AgentConfig) -> None:
    """Run the agent of this folder until SIGTERM or SIGINT.

    Raises:
        AlreadyRunning: Another process is this agent.
        FlotaError: Configuration, identity or folder cannot be used.
    """
    watchdog = Watchdog.from_systemd(os.environ.get("NOTIFY_SOCKET", ""), os.environ.get("WATCHDOG_USEC", ""))
    recent = log.set_up()
    with _only_one(config.lock):
        anyio.run(_main, config, recent, watchdog)


async def _main(config: AgentConfig, recent: log.RecentLines, watchdog: Watchdog) -> None:
    async with AsyncExitStack() as stack:
        context = tls_context(config)
        client = await stack.enter_async_context(http_client(config, context))
        agent = Agent(config, client, recent)
        stack.callback(agent.installer.close)
        broker = Broker(
            config.settings,
            context,
            will=will_of(config.settings.device, agent.installer),
            received=agent.received,
            connected=agent.connected,
        )
        agent.attach(broker)
        await stack.enter_async_context(serving(agent.host, config.socket, config.settings.http_port))
        await agent.run(watchdog)


class Agent:
    """The parts of one agent and how they hang together."""

    def __init__(self, config: AgentConfig, client: HttpClient, recent: log.RecentLines) -> None:
        self.config = config
        self.installer = open_installer(config)
        self.host = Host(self.installer)
        self._trust = TrustedClient(config.trust, _root(config.root), client.get_from_thread)
        self._trust_limiter = anyio.CapacityLimiter(1)
        journal = Journal(config.journal)
        state, self._complaint = load_state(journal)
        self._queue = TelemetryQueue(
            config.telemetry,
            config.settings.device,
            max_points=config.settings.telemetry_max_points,
            first_seq=clock_seq(),
        )
        worker = Worker(
            installer=self.installer,
            host=self.host,
            fetcher=Downloader(client, config.downloads),
            verify=self._verify,
            state=lambda: self.machine.state,
            note=self._note,
            probe_interval_s=config.settings.probe_interval_s,
        )
        self.machine = Machine(state, journal, worker.perform, report=lambda: self._reporter.poke())
        self._intake = Intake(config.settings.device, self._trust, self.machine, self._trust_limiter)
        self._commands = Commands(self.machine, self.host, recent)
        self._requests: list[bytes] = []
        self._requested = anyio.Event()

    def attach(self, broker: Broker) -> None:
        """Say which broker carries our messages."""
        self._broker = broker
        self._reporter = Reporter(
            self.config.settings.device, broker, lambda: self.machine, self.installer, self._queue
        )

    async def run(self, watchdog: Watchdog) -> None:
        """Run every part until a signal asks to stop."""
        async with anyio.create_task_group() as tasks:
            self.machine.start(tasks)
            await self._begin(tasks)
            for part in (self._intake.run, self._reporter.run, self._broker.run, self._measure, self._serve_requests):
                tasks.start_soon(part)
            tasks.start_soon(_keep_alive, watchdog)
            watchdog.tell("READY=1")
            await _until_signal()
            logger.info("stopping")
            watchdog.tell("STOPPING=1")
            await self.machine.post(Stopping(time.time()))
            with anyio.move_on_after(_GOODBYE_S):
                await self._reporter.goodbye()
            tasks.cancel_scope.cancel()

    async def connected(self) -> None:
        """The broker is reached."""
        await self.machine.post(Connected(time.time()))
        self._reporter.start_over()

    async def received(self, channel: Channel, payload: bytes) -> None:
        """A message came; whatever is garbled is dropped here."""
        try:
            if channel is Channel.ASSIGN:
                self._intake.offer(payload)
            elif channel is Channel.ACK:
                await self._reporter.acknowledged(decode(Ack, payload))
            elif channel is Channel.CMD and len(self._requests) < 16:
                self._requests.append(payload)
                self._requested.set()
        except FlotaError as error:
            logger.warning("message on %s dropped: %s", channel.value, error.message)

    async def _begin(self, tasks: TaskGroup) -> None:
        """A model that loads serves before anything else happens; a board that is not there is waited for."""
        await self.machine.post(Booted(time.time()))
        if self._complaint is not None:
            await self.machine.post(Noted(time.time(), self._complaint.code, self._complaint.message))
        if not await self._recover():
            tasks.start_soon(self._recover_later)

    async def _recover(self) -> bool:
        state = self.machine.state
        try:
            running = await to_thread.run_sync(self.installer.recover, state)
        except BoardAbsent as error:
            logger.warning("%s (%s)", error.message, error.code)
            return False
        known = state.running
        if running is not None and not running.since:
            same = known is not None and known.sha256 == running.sha256
            running = running.model_copy(update={"since": known.since if same and known else time.time()})
        self.host.begin_window()
        logger.info("running %s", f"{running.model} {running.version} in slot {running.slot}" if running else "nothing")
        await self.machine.post(Started(time.time(), running))
        return True

    async def _recover_later(self) -> None:
        backoff = Backoff(first_s=1.0, cap_s=15.0)
        await self._note(Noted(time.time(), BoardAbsent.code, "the board does not answer"))
        while not await self._recover():
            await anyio.sleep(backoff.next())

    async def _note(self, noted: Noted) -> None:
        await self.machine.post(noted)

    def _verify(self, assignment: Assignment, archive: Path, suits: Callable[[Bundle], None], floor: int) -> int:
        """In a worker thread. Intake and verification share one TUF folder, so they take turns."""
        from_thread.run(self._trust_limiter.acquire_on_behalf_of, self._verify)
        try:
            return verify_bundle(self._trust, assignment, archive, suits, floor)
        finally:
            from_thread.run_sync(self._trust_limiter.release_on_behalf_of, self._verify)

    async def _measure(self) -> None:
        """Readings at every interval, to disk, then to the server."""
        while True:
            await anyio.sleep(self.config.settings.telemetry_interval_s)
            try:
                self._queue.append(readings(self.machine.state, self.host, self._queue.dropped))
            except StorageError as error:
                logger.warning("telemetry dropped: %s", error.message)
            self._reporter.poke()

    async def _serve_requests(self) -> None:
        while True:
            await self._requested.wait()
            self._requested = anyio.Event()
            while self._requests:
                try:
                    command = decode(Command, self._requests.pop(0))
                except FlotaError as error:
                    logger.warning("command refused: %s", error.message)
                    continue
                reply = await self._commands.answer(command)
                await self._broker.publish(Channel.REPLY, encode(reply))


def open_installer(config: AgentConfig) -> Installer:
    """The installer of this device: over its board's serial link, or this machine itself."""
    slots = Slots(config.slots)
    if not config.settings.board_port:
        return LinuxInstaller(slots)
    from device_agent.installers.mcu import McuInstaller

    return McuInstaller(slots, config.settings.board_port)


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


def readings(state: AgentState, host: Host, dropped: int) -> list[Reading]:
    """What telemetry says now: counters since the version began to serve, and latencies since the last readings."""
    now, window = time.time(), host.window
    version = state.running.version if state.running else ""
    values = {
        "inferences": float(window.inferences),
        "errors": float(window.errors),
        "rss_bytes": float(_rss_bytes()),
        "telemetry_dropped": float(dropped),
    }
    if window.latencies_ms:
        values["latency_p50_ms"] = quantile(window.latencies_ms, 0.5)
        values["latency_p95_ms"] = quantile(window.latencies_ms, 0.95)
        window.latencies_ms.clear()
    if window.unit != "ms" and window.costs:
        values[f"{window.unit}_p50"] = quantile(window.costs, 0.5)
    return [Reading(now, name, value, version) for name, value in values.items()]


def _fresh_state() -> AgentState:
    seq = clock_seq()
    return AgentState(seq=seq, event_seq=seq)


def _rss_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _root(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotEnrolled(f"{path}: {error.strerror or error}", hint="enrol the device again") from error


async def _keep_alive(watchdog: Watchdog) -> None:
    """From the event loop, so that a stuck loop is noticed."""
    while watchdog.interval_s:
        watchdog.tell("WATCHDOG=1")
        await anyio.sleep(watchdog.interval_s)


async def _until_signal() -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            return


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        stream = lock.open("a")
    except OSError as error:
        raise StorageError(f"{lock}: {error.strerror or error}", hint="check permissions of the folder") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise AlreadyRunning(
                f"an agent runs in {lock.parent.parent} already", hint="stop it first, or use another folder"
            ) from error
        yield
