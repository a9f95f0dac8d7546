"""Drives a whole fleet for the tests: starts, kills and restarts its real processes, and waits for what they do."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import agent_bundles

from device_agent.config import load_config
from device_agent.enrol import enrol
from device_agent.status import AgentStatus, read_status
from flota.api import FleetClient
from flota.api.errors import Unreachable
from flota.api.models import EventView, NewDevice, RolloutView, Wave
from flota.demo.processes import flota_command, log_tail, started_at
from flota.files import write_atomic
from flota.messages import HealthLimits
from flota.release import add_release, init_publisher, publish
from flota.trust.keys import ServerKeys

USER, PASSWORD = "operator", "a long enough password"
DEADLINE_S = 120.0
PROBATION_S = 1.5
LIMITS = HealthLimits(min_inferences=5)

T = TypeVar("T")


class NeverHappened(AssertionError):
    """What a test waited for did not happen in time."""


def eventually(what: str, look: Callable[[], T], *, timeout_s: float = DEADLINE_S, poll_s: float = 0.05) -> T:
    """Poll ``look`` until it gives something true, and return that. A server that is down counts as «not yet»."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            found = look()
        except Unreachable:
            found = None
        if found:
            return found
        if time.monotonic() > deadline:
            raise NeverHappened(f"{what}: not within {timeout_s:g} s")
        time.sleep(poll_s)


@dataclass(slots=True)
class Process:
    """One ``flota …`` process that a test kills and starts again; all its lives share one log."""

    name: str
    arguments: Sequence[str]
    log: Path
    _life: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        return self._life is not None and self._life.poll() is None

    def start(self) -> None:
        assert not self.alive
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as stream:
            self._life = subprocess.Popen(
                flota_command(self.arguments), stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT
            )

    def kill(self) -> None:
        """SIGKILL, to this process alone."""
        self.signal(signal.SIGKILL)
        assert self._life is not None
        self._life.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        if self._life is None:
            return 0
        self._life.send_signal(signal.SIGCONT)
        self._life.terminate()
        try:
            return self._life.wait(15)
        except subprocess.TimeoutExpired:
            self._life.kill()
            self._life.wait()
            raise

    def signal(self, number: signal.Signals) -> None:
        assert self._life is not None
        assert self._life.poll() is None, f"{self.name} ended on its own: {log_tail(self.log)}"
        self._life.send_signal(number)

    def wait(self) -> int:
        assert self._life is not None
        return self._life.wait(DEADLINE_S)


@dataclass(frozen=True, slots=True)
class Device:
    """A device of the fleet: the folder of its agent and the process."""

    name: str
    folder: Path
    process: Process
    token: str

    @property
    def artifacts_url(self) -> str:
        """Where it fetches from."""
        return load_config(self.folder).settings.artifacts_url

    def status(self) -> AgentStatus:
        """What its own journal says."""
        return read_status(self.folder)

    def set(self, **settings: str | float) -> None:
        """Change lines of ``agent.toml``, as an operator may."""
        path = self.folder / "agent.toml"
        text = path.read_text()
        for key, value in settings.items():
            text, changed = re.subn(rf"(?m)^{key} = .*$", f"{key} = {json.dumps(value)}", text)
            assert changed == 1, f"agent.toml has no {key}"
        write_atomic(path, text.encode())


@dataclass(slots=True)
class Fleet:
    """A server in ``folder``/server, a publisher, and agents."""

    folder: Path
    devices: dict[str, Device] = field(default_factory=dict)
    _client: FleetClient | None = None
    _server: Process | None = None

    # ---- the server

    @property
    def server_folder(self) -> Path:
        return self.folder / "server"

    @property
    def publisher(self) -> Path:
        return self.folder / "publisher"

    @property
    def ca(self) -> Path:
        return self.server_folder / "ca.pem"

    @property
    def _ready_file(self) -> Path:
        return self.folder / "ready.json"

    @property
    def client(self) -> FleetClient:
        assert self._client is not None
        return self._client

    @property
    def server(self) -> Process:
        assert self._server is not None
        return self._server

    def start_server(self, **settings: float) -> None:
        """Make server and publisher, start, sign in, publish the root of trust."""
        ports = ["--port", "0", "--device-port", "0", "--mqtt-port", "0"]
        init = ["server", "init", str(self.server_folder), *ports, "--admin-user", USER, "--admin-password-stdin"]
        subprocess.run(
            flota_command(init), input=PASSWORD.encode() + b"\n", check=True, capture_output=True, timeout=DEADLINE_S
        )
        settings_file = self.server_folder / "server.json"
        settings_file.write_text(json.dumps({**json.loads(settings_file.read_bytes()), **settings}))
        init_publisher(self.publisher, ServerKeys.from_file(self.server_folder / "server-keys.json"))
        run = ["server", "run", str(self.server_folder), "--ready-file", str(self._ready_file)]
        self._server = Process("server", run, self.folder / "logs" / "server.log")
        self.restart_server()
        with FleetClient(self.addresses["url"], ca=self.ca) as visitor:
            token = visitor.login(USER, PASSWORD).token
        self._client = FleetClient(self.addresses["url"], token, self.ca)
        publish(self.publisher, self.client)

    def restart_server(self) -> None:
        """Start the server, which is not running, and wait until it is ready."""
        self._ready_file.unlink(missing_ok=True)
        self.server.start()

        def ready() -> bool:
            assert self.server.alive, f"the server ended: {log_tail(self.server.log)}"
            return self._ready_file.exists()

        eventually("the server is ready", ready)

    @property
    def addresses(self) -> dict[str, str]:
        """url, device_url, mqtt_port, dashboard."""
        found: dict[str, str] = json.loads(self._ready_file.read_bytes())
        return found

    @property
    def broker_pid(self) -> int:
        """The process id of the Mosquitto that the server recorded."""
        return int(json.loads((self.server_folder / "broker" / "process.json").read_bytes())["pid"])

    def brokers(self) -> list[int]:
        """Every living Mosquitto of this server's folder, by looking at the system's processes."""
        return sorted(_running_with(str(self.server_folder / "broker" / "mosquitto.conf")))

    def kill_broker(self) -> int:
        """SIGKILL the broker and wait until the server has started another one."""
        old = self.broker_pid
        os.kill(old, signal.SIGKILL)
        eventually("another broker runs", lambda: self.broker_pid != old and self.brokers() == [self.broker_pid])
        return old

    def metric(self, name: str) -> float:
        """One figure of ``/metrics``."""
        return next(float(line.split()[-1]) for line in self.client.metrics().splitlines() if line.startswith(name))

    def stop(self) -> None:
        """End everything, agents first, and check that nothing is left."""
        for device in self.devices.values():
            device.process.stop()
        if self._client is not None:
            self._client.close()
        if self._server is not None:
            self._server.stop()
            assert self.brokers() == []

    # ---- devices

    def add_device(self, name: str, *, group: str = "default", start: bool = True) -> Device:
        """Register, enrol and start a Linux agent that probes often."""
        token = self.client.add_device(NewDevice(name=name, group=group)).token
        folder = self.folder / "agents" / name
        enrol(self.addresses["url"], self.ca, token, name, folder)
        process = Process(name, ["agent", "run", str(folder)], self.folder / "logs" / f"{name}.log")
        device = self.devices[name] = Device(name, folder, process, token)
        device.set(probe_interval_s=0.1, telemetry_interval_s=1.0)
        if start:
            process.start()
        return device

    def wait_online(self, *names: str) -> None:
        """Wait until the server sees these devices (default: all) online."""
        wanted = set(names or self.devices)
        eventually(
            "devices online", lambda: wanted <= {device.name for device in self.client.devices() if device.online}
        )

    # ---- releases and rollouts

    def release(self, version: str, **bundle: object) -> None:
        """Make a bundle (see ``agent_bundles.make_bundle``), sign it, publish it."""
        path = agent_bundles.make_bundle(self.folder / "bundles", version, **bundle)  # type: ignore[arg-type]
        add_release(self.publisher, [path])
        publish(self.publisher, self.client)

    def roll_out(
        self,
        version: str,
        devices: Sequence[str],
        *,
        waves: Sequence[Wave] = (Wave(percent=100),),
        probation_s: float = PROBATION_S,
        wave_soak_s: float = 0.0,
        timeout_s: float = 300.0,
        limits: HealthLimits = LIMITS,
    ) -> RolloutView:
        """Create a rollout and return at once."""
        return self.client.create_rollout(
            agent_bundles.MODEL,
            version,
            devices=devices,
            waves=waves,
            probation_s=probation_s,
            wave_soak_s=wave_soak_s,
            timeout_s=timeout_s,
            limits=limits,
        )

    def settled(self, identity: int) -> RolloutView:
        """Wait until the rollout is over and no device is on its way."""

        def look() -> RolloutView | None:
            view = self.client.rollout(identity)
            return view if view.settled else None

        return eventually(f"rollout {identity} settles", look)

    def member_states(self, identity: int) -> dict[str, str]:
        return {member.device: member.state.value for member in self.client.rollout(identity).members}

    def versions(self, name: str) -> list[str]:
        """The versions that ran on a device, in order."""
        return [ran.version for ran in self.client.history(name)]

    def events(self, name: str, *, counter: int) -> list[EventView]:
        """What a device told of one assignment."""
        return [event for event in self.client.events(device=name, limit=10_000) if event.counter == counter]


def _running_with(argument: str) -> list[int]:
    """Ids of the processes that have ``argument`` on their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        pid = int(path.parent.name)
        if argument in arguments and started_at(pid) is not None:
            found.append(pid)
    return found
