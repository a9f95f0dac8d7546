"""A fleet around real agent processes: Mosquitto, HTTPS with client certificates, TUF, the director's key.

It takes the server's place on the wire, so that a test can say exactly what a device is sent, forge it, tamper with it,
withhold it, or take network and broker away.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as mqtt
from aiohttp import web
from securesystemslib.signer import CryptoSigner

from device_agent.config import AgentConfig, Settings, save_config
from device_agent.journal import Journal
from device_agent.state import AgentState
from flota import bundle as bundles
from flota import release
from flota.files import write_atomic
from flota.messages import (
    Ack,
    Assignment,
    Command,
    Event,
    EventBatch,
    HealthLimits,
    Reply,
    ReportedState,
    Result,
    TelemetryBatch,
    TelemetryPoint,
    decode,
    encode,
)
from flota.programs import find_program
from flota.topics import FROM_DEVICE, FROM_SERVER, PREFIX, Channel, parse_topic, topic
from flota.trust.ca import CertificateAuthority, make_csr
from flota.trust.envelope import sign_assignment
from flota.trust.errors import TrustError
from flota.trust.online import OnlineRepository

LOOPBACK = "127.0.0.1"
WAIT_S = 30.0


def _without_gap(numbers: dict[int, Event] | dict[int, TelemetryPoint]) -> int:
    """The highest number up to which nothing is missing, as the server acknowledges."""
    last = min(numbers, default=0)
    while last + 1 in numbers:
        last += 1
    return last


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def wait_until(ready: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < deadline, f"{what}: not after {timeout_s:.0f} s"
        time.sleep(0.01)


@dataclass
class Agent:
    """One agent process and its folder."""

    config: AgentConfig
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return self.config.settings.device

    @property
    def log(self) -> str:
        return (self.config.folder / "agent.log").read_text()

    def start(self) -> Agent:
        with (self.config.folder / "agent.log").open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flota", "agent", "run", str(self.config.folder), *self.options],
                stderr=stream,
                stdout=stream,
                stdin=subprocess.DEVNULL,
            )
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)

    def state(self) -> AgentState:
        return Journal(self.config.journal).load() or AgentState()

    def wait_serving(self) -> None:
        """Until a model answers on the socket."""
        wait_until(self.ready, f"{self.name} serves")

    def ready(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as channel:
                channel.settimeout(5)
                channel.connect(str(self.config.socket))
                channel.sendall(b"GET /v2/health/ready HTTP/1.0\r\n\r\n")
                return b" 200 " in channel.recv(200).split(b"\r\n")[0]
        except OSError:
            return False


@dataclass
class Heard:
    """What the server's side heard of one device."""

    state: ReportedState | None = None
    states: list[ReportedState] = field(default_factory=list)
    events: dict[int, Event] = field(default_factory=dict)
    telemetry: dict[int, TelemetryPoint] = field(default_factory=dict)
    replies: dict[str, Reply] = field(default_factory=dict)

    def told(self) -> list[tuple[str, str, str]]:
        """(kind, version, code) of every event, in order."""
        return [(e.kind.value, e.version, e.code) for _, e in sorted(self.events.items())]

    def history(self) -> list[str]:
        """Versions that ran, in order."""
        return [version for kind, version, _ in self.told() if kind in ("switched", "rolled-back")]

    def result(self, counter: int) -> Result | None:
        last = self.state.last_result if self.state else None
        return last if last is not None and last.counter == counter else None


class AgentFleet:
    """One fleet in ``folder``; use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = OnlineRepository(folder / "trust")
        self.publisher = folder / "publisher"
        release.init_publisher(self.publisher, self.repository.server_keys())
        self.ca = CertificateAuthority.create(folder / "ca")
        self._identity("server", *self.ca.issue_server([LOOPBACK, "localhost"]))
        self._identity("service", *self.ca.issue_service("_server"))
        self.mqtt_port, self.http_port = free_port(), free_port()
        self.acknowledging = True
        self.tampered: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.agents: list[Agent] = []
        self.heard: dict[str, Heard] = {}
        self._counter = 0
        self._broker: subprocess.Popen[bytes] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> AgentFleet:
        self.start_broker()
        self.start_http()
        self._client = self._connect()
        return self

    def __exit__(self, *_: object) -> None:
        for agent in self.agents:
            if agent.process is not None and agent.process.poll() is None:
                agent.kill()
        self._client.disconnect()
        self._client.loop_stop()
        self.stop_http()
        self.stop_broker()

    def release(self, path: Path, *, floor: int | None = None) -> Assignment:
        """Sign and publish a bundle; returns an assignment of it that still needs a device and a counter."""
        release.add_release(self.publisher, [path], security_floor=floor)
        release.publish(self.publisher, self)
        manifest = bundles.read(path).manifest
        target = f"{manifest.model}/{manifest.version}/{manifest.filename}"
        info = self.repository.target(target)
        return Assignment(
            device="nobody",
            counter=0,
            issued_at=time.time(),
            expires_at=time.time() + 3600,
            model=manifest.model,
            version=manifest.version,
            target=manifest.target,
            path=target,
            sha256=info.sha256,
            size=info.size,
            probation_s=0.4,
            limits=HealthLimits(min_inferences=10),
        )

    def publish_release(self, targets_json: bytes, root_json: bytes | None, files: dict[str, Path]) -> object:
        return self.repository.accept(targets_json, root_json, files)

    def enrol(self, name: str, **settings: object) -> Agent:
        """An enrolled agent, not started."""
        key, csr = make_csr(name)
        values = {
            "device": name,
            "mqtt_host": LOOPBACK,
            "mqtt_port": self.mqtt_port,
            "artifacts_url": f"https://{LOOPBACK}:{self.http_port}",
            "probe_interval_s": 0.05,
            "telemetry_interval_s": 0.5,
            **settings,
        }
        config = AgentConfig(self.folder / "agents" / name, Settings.model_validate(values))
        write_atomic(config.key, key, mode=0o600)
        write_atomic(config.certificate, self.ca.issue_device(csr, name))
        write_atomic(config.ca, self.ca.certificate_pem)
        write_atomic(config.root, self.repository.root())
        save_config(config)
        agent = Agent(config)
        self.agents.append(agent)
        self.heard[name] = Heard()
        return agent

    def assign(self, agent: Agent, wanted: Assignment, *, signer: CryptoSigner | None = None, **changes: object) -> int:
        """Publish a signed assignment, retained; returns its counter."""
        self._counter += 1
        changed = {"device": agent.name, "counter": self._counter, **changes}
        envelope = sign_assignment(wanted.model_copy(update=changed), signer or self.repository.director_signer())
        self.send(agent, Channel.ASSIGN, envelope, retain=True)
        return int(str(changed["counter"]))

    def send(self, agent: Agent, channel: Channel, payload: bytes, *, retain: bool = False) -> None:
        """Publish anything to a device."""
        self._client.publish(topic(agent.name, channel), payload, qos=1, retain=retain).wait_for_publish(WAIT_S)

    def ask(self, agent: Agent, name: str, timeout_s: float = WAIT_S) -> Reply:
        """Send a command and wait for its reply."""
        heard = self.heard[agent.name]
        command = Command.model_validate({"id": f"{name}-{len(heard.replies)}", "name": name})
        self.send(agent, Channel.CMD, encode(command))
        wait_until(lambda: command.id in heard.replies, f"reply to {name}", timeout_s)
        return heard.replies[command.id]

    def wait_result(self, agent: Agent, counter: int, timeout_s: float = WAIT_S) -> Result:
        """How the assignment ended, as the device reported it."""
        heard = self.heard[agent.name]
        wait_until(lambda: heard.result(counter) is not None, f"result of {counter} at {agent.name}", timeout_s)
        result = heard.result(counter)
        assert result is not None
        return result

    def wait_told(self, agent: Agent, kind: str, code: str = "") -> None:
        heard = self.heard[agent.name]
        wait_until(lambda: any((k, c) == (kind, code) for k, _, c in heard.told()), f"{kind} {code}")

    def wait_drained(self, agent: Agent) -> None:
        """Until the server's side has every event the device wrote down."""
        heard = self.heard[agent.name]
        wait_until(lambda: max(heard.events, default=0) >= agent.state().event_seq, "all events")

    # ------------------------------------------------------------------------------------------- infrastructure

    def start_broker(self) -> None:
        folder = self.folder / "broker"
        folder.mkdir(exist_ok=True)
        acl = ["user _server", f"topic readwrite {PREFIX}/#"]
        acl += [f"pattern write {PREFIX}/%u/{channel.value}" for channel in FROM_DEVICE]
        acl += [f"pattern read {PREFIX}/%u/{channel.value}" for channel in FROM_SERVER]
        (folder / "acl").write_text("\n".join(acl) + "\n")
        (folder / "acl").chmod(0o600)
        lines = (
            f"listener {self.mqtt_port} {LOOPBACK}",
            f"user {pwd.getpwuid(os.getuid()).pw_name}",
            f"acl_file {folder / 'acl'}",
            f"cafile {self.folder / 'ca' / 'ca.pem'}",
            f"certfile {self.folder / 'server.pem'}",
            f"keyfile {self.folder / 'server.key'}",
            "require_certificate true",
            "use_identity_as_username true",
            "persistence true",
            f"persistence_location {folder}/",
        )
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        with (folder / "broker.log").open("ab") as log:
            self._broker = subprocess.Popen(
                [find_program("mosquitto"), "-c", str(folder / "mosquitto.conf")], stdout=log, stderr=log
            )
        wait_until(self._broker_answers, "broker")

    def stop_broker(self) -> None:
        if self._broker is not None:
            self._broker.terminate()
            self._broker.wait(WAIT_S)

    def _broker_answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, self.mqtt_port)) == 0

    def start_http(self) -> None:
        started = threading.Event()
        loop = self._loop = asyncio.new_event_loop()

        async def serve() -> None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.folder / "ca" / "ca.pem"))
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_cert_chain(self.folder / "server.pem", self.folder / "server.key")
            app = web.Application()
            app.router.add_get("/tuf/metadata/{name}", self._metadata)
            app.router.add_get("/artifacts/{path:.*}", self._artifact)
            self._runner = web.AppRunner(app, access_log=None)
            await self._runner.setup()
            await web.TCPSite(self._runner, LOOPBACK, self.http_port, ssl_context=context).start()
            started.set()

        def run() -> None:
            loop.run_until_complete(serve())
            loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert started.wait(WAIT_S)

    def stop_http(self) -> None:
        loop, runner = self._loop, self._runner
        if loop is None or runner is None:
            return
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(WAIT_S)
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join(WAIT_S)
        self._loop = self._runner = None

    async def _metadata(self, request: web.Request) -> web.StreamResponse:
        try:
            return web.Response(body=self.repository.metadata(request.match_info["name"]))
        except TrustError:
            return web.Response(status=404)

    async def _artifact(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.requests.append(f"{path} {request.headers.get('Range', '')}".strip())
        if path in self.tampered:
            return web.Response(body=self.tampered[path])
        try:
            return web.FileResponse(self.repository.artifact(path))
        except TrustError:
            return web.Response(status=404)

    def _connect(self) -> mqtt.Client:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="_server", protocol=mqtt.MQTTv5)
        context = ssl.create_default_context(cafile=str(self.folder / "ca" / "ca.pem"))
        context.load_cert_chain(self.folder / "service.pem", self.folder / "service.key")
        client.tls_set_context(context)
        client.reconnect_delay_set(min_delay=1, max_delay=1)
        client.on_message = self._received
        client.on_connect = lambda *_: client.subscribe(f"{PREFIX}/#", qos=1)
        client.connect(LOOPBACK, self.mqtt_port)
        client.loop_start()
        wait_until(client.is_connected, "connection of the server's side")
        return client

    def _received(self, client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        parsed = parse_topic(message.topic)
        if parsed is None or parsed[1] not in FROM_DEVICE:
            return
        device, channel = parsed
        heard = self.heard[device]
        if channel is Channel.STATE:
            heard.state = decode(ReportedState, message.payload)
            heard.states.append(heard.state)
        elif channel is Channel.EVENT:
            heard.events |= {event.seq: event for event in decode(EventBatch, message.payload).events}
        elif channel is Channel.TELEMETRY:
            heard.telemetry |= {point.seq: point for point in decode(TelemetryBatch, message.payload).points}
        elif channel is Channel.REPLY:
            reply = decode(Reply, message.payload)
            heard.replies[reply.id] = reply
        if self.acknowledging and channel in (Channel.EVENT, Channel.TELEMETRY):
            ack = Ack(telemetry=_without_gap(heard.telemetry), events=_without_gap(heard.events))
            client.publish(topic(device, Channel.ACK), encode(ack), qos=1)

    def _identity(self, name: str, key: bytes, certificate: bytes) -> None:
        write_atomic(self.folder / f"{name}.key", key, mode=0o600)
        write_atomic(self.folder / f"{name}.pem", certificate)
