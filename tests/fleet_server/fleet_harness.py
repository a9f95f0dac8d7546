"""A real server process, and devices that speak the real wire (mutual TLS, MQTT 5, TUF, DSSE) without an agent."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

sys.path.append(str(Path(__file__).parents[1] / "flota"))
from sample_bundles import sample_bundle

from fleet_server.config import ServerConfig, Settings, load_config, load_ports
from fleet_server.setup import init_server
from flota import bundle, release
from flota.api import FleetClient
from flota.api.models import NewDevice, NewUser
from flota.messages import (
    Ack,
    Assignment,
    Command,
    DeviceKind,
    Event,
    EventBatch,
    EventKind,
    Outcome,
    Phase,
    Reply,
    ReportedState,
    Result,
    Running,
    TelemetryBatch,
    decode,
    encode,
)
from flota.topics import Channel, topic
from flota.trust.ca import make_csr
from flota.trust.client import TrustedClient
from flota.trust.envelope import verify_assignment
from flota.trust.errors import NotFound
from flota.trust.keys import ServerKeys

ADMIN, PASSWORD = "admin", "correct horse battery"
WAIT_S = 60.0
START_S = 120.0


def wait_for(what: str, ready: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:.0f} s"
        time.sleep(0.02)


class ServerProcess:
    """``flota server run`` as a process of its own."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        values = {"port": 0, "device_port": 0, "mqtt_port": 0, "lease_s": 1.0, **settings}
        init_server(folder, Settings.model_validate(values), NewUser(name=ADMIN, password=PASSWORD))
        self.config: ServerConfig = load_config(folder)
        self.ready_file = folder.parent / f"{folder.name}.ready.json"
        self.log = folder.parent / f"{folder.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.ready_file.unlink(missing_ok=True)
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "flota",
                    "server",
                    "run",
                    str(self.folder),
                    "--ready-file",
                    str(self.ready_file),
                ],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        wait_for("the server", self._is_up, START_S)

    def _is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        return self.ready_file.exists()

    @property
    def ready(self) -> dict[str, object]:
        return dict(json.loads(self.ready_file.read_bytes()))

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    def kill(self) -> None:
        """As a power cut would: the broker lives on."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.ready_file.unlink(missing_ok=True)

    def kill_broker(self) -> int:
        pid = self.broker_pid()
        os.kill(pid, signal.SIGKILL)
        return pid

    def broker_pid(self) -> int:
        return int(json.loads((self.config.broker_folder / "process.json").read_bytes())["pid"])

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        elif self.process is not None and (self.config.broker_folder / "process.json").exists():
            self._end_orphan()

    def _end_orphan(self) -> None:
        from fleet_server.broker import Broker

        ports = load_ports(self.config)
        if ports is not None:
            Broker(self.config, ports.mqtt).end_stale()

    def client(self, token: str = "") -> FleetClient:
        return FleetClient(self.url, token, self.config.ca_certificate)

    def login(self, name: str = ADMIN, password: str = PASSWORD) -> FleetClient:
        with self.client() as anonymous:
            return self.client(anonymous.login(name, password).token)


class Publisher:
    """An offline publisher for one server."""

    def __init__(self, folder: Path, server: ServerProcess) -> None:
        self.folder = folder
        release.init_publisher(folder / "publisher", ServerKeys.from_file(server.config.server_keys))

    def publish(self, client: FleetClient, *versions: str, targets: tuple[str, ...] = ("linux-litert",)) -> None:
        """Release ``versions`` (none: only the keys) and publish them."""
        for version in versions:
            bundles = [write_bundle(self.folder / "bundles", version, target) for target in targets]
            release.add_release(self.folder / "publisher", bundles)
        release.publish(self.folder / "publisher", client)


def write_bundle(folder: Path, version: str, target: str = "linux-litert") -> Path:
    payload = f"weights of {version} for {target}".encode() * 500
    return bundle.write(folder, *sample_bundle(version=version, target=target, payload=payload))


Verdict = Callable[[Assignment], Result | None]


@dataclass
class WireDevice:
    """A device: it enrols, takes verified assignments, downloads, and reports what ``judge`` says of each version.

    ``bad`` versions roll back on the device; ``held`` versions stay in probation until released.
    """

    name: str
    folder: Path
    server: ServerProcess
    bad: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    running: Running | None = None
    previous: Running | None = None
    result: Result | None = None
    counter: int = 0
    seq: int = 0
    event_seq: int = 0
    taken: list[Assignment] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    acks: list[Ack] = field(default_factory=list)
    phase: Phase = Phase.IDLE

    def enrol(self, client: FleetClient, *, group: str = "default") -> WireDevice:
        token = client.add_device(NewDevice(name=self.name, group=group)).token
        self.enrol_with(token)
        return self

    def enrol_with(self, token: str) -> None:
        key, csr = make_csr(self.name)
        with self.server.client() as anonymous:
            answer = anonymous.enrol(token, csr)
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in (
            ("key.pem", key),
            ("cert.pem", answer.certificate_pem.encode()),
            ("ca.pem", answer.ca_pem.encode()),
        ):
            (self.folder / name).write_bytes(text)
        self.root = answer.tuf_root.encode()
        self.mqtt_port, self.artifacts_url = answer.mqtt_port, answer.artifacts_url

    def tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
        return context

    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.artifacts_url, verify=self.tls(), trust_env=False, timeout=10)

    def fetch(self, path: str) -> bytes:
        with self.http() as http:
            answer = http.get(f"/{path}")
        if answer.status_code in (403, 404):
            raise NotFound(path)
        answer.raise_for_status()
        return answer.content

    def connect(self) -> WireDevice:
        self._lock = threading.RLock()
        self.trust = TrustedClient(self.folder / "tuf", self.root, self.fetch)
        self.mqtt = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=self.name, protocol=mqtt.MQTTv5)
        self.mqtt.tls_set_context(self.tls())
        will = ReportedState(device=self.name, seq=0, at=time.time(), online=False)
        self.mqtt.will_set(topic(self.name, Channel.STATE), encode(will), qos=1, retain=True)
        self.mqtt.on_connect = self._on_connect
        self.mqtt.on_message = self._on_message
        self.mqtt.reconnect_delay_set(min_delay=1, max_delay=1)
        self.mqtt.connect("127.0.0.1", self.mqtt_port, keepalive=10)
        self.mqtt.loop_start()
        wait_for(f"{self.name} connects", self.mqtt.is_connected)
        return self

    def close(self) -> None:
        if hasattr(self, "mqtt"):
            self.mqtt.disconnect()
            self.mqtt.loop_stop()

    def report(self, *, online: bool = True) -> None:
        self.seq += 1
        state = ReportedState(
            device=self.name,
            seq=self.seq,
            at=time.time(),
            online=online,
            kind=DeviceKind.LINUX,
            targets=("linux-litert",),
            phase=self.phase,
            assignment_counter=self.counter,
            running=self.running,
            previous=self.previous,
            last_result=self.result,
        )
        self.mqtt.publish(topic(self.name, Channel.STATE), encode(state), qos=1, retain=True)

    def say(self, kind: EventKind, assignment: Assignment, version: str = "", code: str = "") -> None:
        self.event_seq += 1
        event = Event(
            seq=self.event_seq,
            at=time.time(),
            kind=kind,
            counter=assignment.counter,
            version=version or assignment.version,
            code=code,
        )
        batch = EventBatch(device=self.name, events=(event,))
        self.mqtt.publish(topic(self.name, Channel.EVENT), encode(batch), qos=1)

    def send_telemetry(self, batch: TelemetryBatch) -> None:
        self.mqtt.publish(topic(self.name, Channel.TELEMETRY), encode(batch), qos=1).wait_for_publish(10)

    def release_held(self) -> None:
        """End the probation of what is held, well."""
        with self._lock:
            self.held.clear()
            if self.phase is Phase.PROBATION:
                self._end(self.taken[-1])

    def _on_connect(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe([(topic(self.name, channel), 1) for channel in (Channel.ASSIGN, Channel.ACK, Channel.CMD)])
        self.report()

    def _on_message(self, client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        channel = message.topic.rsplit("/", 1)[-1]
        if channel == Channel.ACK.value:
            self.acks.append(decode(Ack, message.payload))
        elif channel == Channel.CMD.value:
            command = decode(Command, message.payload)
            reply = Reply(id=command.id, ok=True, values={"echo": command.name})
            client.publish(topic(self.name, Channel.REPLY), encode(reply), qos=1)
        elif message.payload:
            with self._lock:
                self._take(message.payload)

    def _take(self, envelope: bytes) -> None:
        self.trust.refresh()
        assignment = verify_assignment(
            envelope, self.trust.director_keys(), device=self.name, last_counter=self.counter, now=time.time()
        )
        if assignment.counter <= self.counter:
            return
        self.counter = assignment.counter
        self.taken.append(assignment)
        self.say(EventKind.ASSIGNED, assignment)
        if self.running is not None and self.running.sha256 == assignment.sha256:
            self._finish(assignment, Outcome.CONFIRMED)
            return
        self._install(assignment)

    def _install(self, assignment: Assignment) -> None:
        info = self.trust.target(assignment.path)
        assert (info.sha256, info.size) == (assignment.sha256, assignment.size)
        self.previous, before = self.running, self.running
        self.running = Running(
            model=assignment.model,
            version=assignment.version,
            target=assignment.target,
            sha256=assignment.sha256,
            slot="B" if before and before.slot == "A" else "A",
            since=time.time(),
        )
        self.say(EventKind.SWITCHED, assignment)
        self.phase = Phase.PROBATION
        self.report()
        if assignment.version not in self.held:
            self._end(assignment)

    def _end(self, assignment: Assignment) -> None:
        if assignment.version in self.bad:
            self.running, self.previous = self.previous, None
            self.say(EventKind.ROLLED_BACK, assignment, self.running.version if self.running else "", "health.outputs")
            self._finish(assignment, Outcome.ROLLED_BACK, "health.outputs")
        else:
            self.say(EventKind.CONFIRMED, assignment)
            self._finish(assignment, Outcome.CONFIRMED)

    def _finish(self, assignment: Assignment, outcome: Outcome, code: str = "") -> None:
        self.phase = Phase.IDLE
        self.result = Result(
            counter=assignment.counter, version=assignment.version, outcome=outcome, code=code, at=time.time()
        )
        self.report()
