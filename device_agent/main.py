"""The agent process: every part is made here, handed what it needs, and run in one task group."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import anyio
from securesystemslib.signer import Key

from device_agent import log
from device_agent.commands import Commands
from device_agent.config import AgentConfig
from device_agent.core import Core, clock_seq, sweep
from device_agent.download import Downloader
from device_agent.errors import AlreadyRunning, NotEnrolled
from device_agent.health import quantile
from device_agent.host import Host
from device_agent.http import HttpClient, http_client, tls_context
from device_agent.installers.base import Installer
from device_agent.installers.linux import LinuxInstaller
from device_agent.intake import Intake
from device_agent.journal import Journal
from device_agent.mqtt import Broker
from device_agent.reporter import Reporter, will_of
from device_agent.serving import serving
from device_agent.slots import Slots
from device_agent.state import AgentState, Connected, Stopping
from device_agent.telemetry import Reading, TelemetryQueue
from device_agent.verify import verify_bundle
from device_agent.watchdog import Watchdog
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
        sweep(config.folder, config.slots, config.telemetry, config.downloads, config.trust)
        agent = Agent(config, context, client, recent)
        stack.callback(agent.core.installer.close)
        await stack.enter_async_context(serving(agent.core.host, config.socket, config.settings.http_port))
        await agent.run(watchdog)


class Agent:
    """The parts of one agent and how they hang together."""

    def __init__(
        self, config: AgentConfig, context: ssl.SSLContext, client: HttpClient, recent: log.RecentLines
    ) -> None:
        device = config.settings.device
        self._settings = config.settings
        self._trust = TrustedClient(config.trust, _root(config.root), client.get_from_thread)
        self._trust_turn = threading.Lock()
        self._queue = TelemetryQueue(
            config.telemetry, device, max_points=config.settings.telemetry_max_points, first_seq=clock_seq()
        )
        self.core = Core(
            installer=open_installer(config),
            journal=Journal(config.journal),
            fetcher=Downloader(client, config.downloads),
            verify=self._verify,
            probe_interval_s=config.settings.probe_interval_s,
            report=lambda: self._reporter.poke(),
        )
        self._broker = Broker(
            config.settings,
            context,
            will=will_of(device, self.core.installer),
            received=self._received,
            connected=self._connected,
        )
        self._reporter = Reporter(device, self._broker, self.core.machine, self.core.installer, self._queue)
        self._intake = Intake(device, self._director_keys, self.core.machine)
        self._commands = Commands(self.core.machine, self.core.host, recent)
        self._requests: list[bytes] = []
        self._requested = anyio.Event()

    async def run(self, watchdog: Watchdog) -> None:
        """Run every part until a signal asks to stop."""
        async with anyio.create_task_group() as tasks:
            await self.core.start(tasks)
            for part in (self._intake.run, self._reporter.run, self._broker.run, self._measure, self._answer_commands):
                tasks.start_soon(part)
            tasks.start_soon(_keep_alive, watchdog)
            watchdog.tell("READY=1")
            await _until_signal()
            logger.info("stopping")
            watchdog.tell("STOPPING=1")
            await self.core.machine.post(Stopping(time.time()))
            with anyio.move_on_after(_GOODBYE_S):
                await self._reporter.goodbye()
            tasks.cancel_scope.cancel()

    async def _connected(self) -> None:
        """The broker is reached."""
        await self.core.machine.post(Connected(time.time()))
        self._reporter.start_over()

    async def _received(self, channel: Channel, payload: bytes) -> None:
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

    def _verify(self, assignment: Assignment, archive: Path, suits: Callable[[Bundle], None], floor: int) -> int:
        with self._trust_turn:
            return verify_bundle(self._trust, assignment, archive, suits, floor)

    def _director_keys(self) -> list[Key]:
        """Blocks. Intake and verification use one TUF folder, each in a worker thread, so they take turns."""
        with self._trust_turn:
            self._trust.refresh()
            return self._trust.director_keys()

    async def _measure(self) -> None:
        """Readings at every interval, to disk, then to the server."""
        while True:
            await anyio.sleep(self._settings.telemetry_interval_s)
            try:
                self._queue.append(readings(self.core.machine.state, self.core.host, self._queue.dropped))
            except StorageError as error:
                logger.warning("telemetry dropped: %s", error.message)
            self._reporter.poke()

    async def _answer_commands(self) -> None:
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
