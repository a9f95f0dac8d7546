"""A real server process with its broker, devices that speak real MQTT to it, and a real Chromium that looks at it."""

from __future__ import annotations

import base64
import json
import os
import queue
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.append(str(Path(__file__).parents[2] / "flota"))
from sample_bundles import sample_bundle

from flota import bundle, messages, release
from flota.api import FleetClient
from flota.api.models import NewDevice, NewUser, Role, Session
from flota.messages import Outcome, Phase
from flota.topics import Channel, topic
from flota.trust.ca import make_csr
from flota.trust.keys import ServerKeys

PASSWORD = "correct horse battery"
USERS = {"ada": Role.OPERATOR, "vera": Role.VIEWER}
COOKIE = "__Host-flota-session"
CHROMIUM = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_S = 90.0


def eventually(what: str, check: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:.0f} s"
        time.sleep(0.05)


class Process:
    """``flota server run`` in a folder of its own."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self.log = root / "server.log"
        self.ready: dict[str, str] = {}

    def start(self) -> None:
        """Start it and wait until everything listens."""
        ready = self.root / "ready.json"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "flota", "server", "run", str(self.folder), "--ready-file", str(ready)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.root, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        eventually("server", lambda: ready.exists() or self._process.poll() is not None, START_S)
        assert self._process.poll() is None, self.log.read_text()
        self.ready = json.loads(ready.read_text())

    def kill(self) -> None:
        """kill -9"""
        self._process.kill()
        self._process.wait(20)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)


@dataclass
class Server:
    """A running server and a signed-in client of its API."""

    process: Process
    url: str
    api: FleetClient
    publisher: Path
    devices: dict[str, WireDevice] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.process.folder

    def add_device(self, name: str, *, group: str = "default", kind: str = "linux", board: str = "") -> WireDevice:
        """Register, enrol and connect a device."""
        target = "linux-litert" if kind == "linux" else "cortex-m4f-tflm"
        token = self.api.add_device(NewDevice(name=name, kind=kind, target=target, board=board, group=group))
        key, csr = make_csr(name)
        enrolled = self.api.enrol(token.token, csr)
        device = WireDevice(
            name, kind, board, self.folder.parent / name, key, enrolled.certificate_pem, enrolled.ca_pem
        )
        device.connect(enrolled.mqtt_host, enrolled.mqtt_port)
        self.devices[name] = device
        return device

    def session(self, user: str) -> Session:
        """A new session of a user."""
        with FleetClient(self.url, ca=self.folder / "ca.pem") as anonymous:
            return anonymous.login(user, PASSWORD)

    def publish(self, version: str) -> None:
        """Sign and publish ``motion VERSION``."""
        folder = self.publisher.parent / f"bundles-{version}"
        release.add_release(
            self.publisher,
            [bundle.write(folder, *sample_bundle(version=version, payload=f"weights {version}".encode()))],
        )
        release.publish(self.publisher, self.api)


class WireDevice:
    """A device on the real broker: it hears assignments and reports what a test tells it to."""

    def __init__(self, name: str, kind: str, board: str, folder: Path, key: bytes, certificate: str, ca: str) -> None:
        self.name = name
        self.kind = kind
        self.board = board
        self.assigned: queue.Queue[messages.Assignment] = queue.Queue()
        self._seq = self._events = self._readings = 0
        self._running: messages.Running | None = None
        folder.mkdir()
        for file, content in {"key.pem": key, "cert.pem": certificate.encode(), "ca.pem": ca.encode()}.items():
            (folder / file).write_bytes(content)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        self._client.tls_set(str(folder / "ca.pem"), str(folder / "cert.pem"), str(folder / "key.pem"))
        self._client.on_message = self._on_message

    def connect(self, host: str, port: int) -> None:
        self._client.connect(host, port)
        self._client.loop_start()
        self._client.subscribe(topic(self.name, Channel.ASSIGN), qos=1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def report(self, *, phase: Phase = Phase.IDLE, online: bool = True, result: messages.Result | None = None) -> None:
        self._seq += 1
        state = messages.ReportedState(
            device=self.name,
            seq=self._seq,
            at=time.time(),
            online=online,
            kind=self.kind,
            board=self.board,
            phase=phase,
            agent_version="0.1.0",
            running=self._running,
            last_result=result,
        )
        self._publish(Channel.STATE, messages.encode(state), retain=True)

    def take(self, rollout: int) -> messages.Assignment:
        """The assignment of a rollout, which the device now has in its probation; others are left aside."""
        assignment = self.assigned.get(timeout=20)
        while (assignment.rollout, assignment.reason) != (str(rollout), "rollout"):
            assignment = self.assigned.get(timeout=20)
        self.report(phase=Phase.PROBATION)
        return assignment

    def confirm(self, assignment: messages.Assignment) -> None:
        self._run(assignment)
        self.tell(messages.EventKind.SWITCHED, assignment.version, assignment.counter)
        self.report(result=self._result(assignment, Outcome.CONFIRMED))

    def fail(self, assignment: messages.Assignment, code: str, detail: str) -> None:
        self.report(result=self._result(assignment, Outcome.ROLLED_BACK, code, detail))

    def tell(self, kind: messages.EventKind, version: str, counter: int = 0, detail: str = "") -> None:
        self._events += 1
        event = messages.Event(
            seq=self._events, at=time.time(), kind=kind, counter=counter, version=version, detail=detail
        )
        self._publish(Channel.EVENT, messages.encode(messages.EventBatch(device=self.name, events=(event,))))

    def measure(self, **values: float) -> None:
        points = []
        for name, value in values.items():
            self._readings += 1
            points.append(messages.TelemetryPoint(seq=self._readings, at=time.time(), name=name, value=value))
        self._publish(
            Channel.TELEMETRY, messages.encode(messages.TelemetryBatch(device=self.name, points=tuple(points)))
        )

    def _run(self, a: messages.Assignment) -> None:
        self._running = messages.Running(
            model=a.model, version=a.version, target=a.target, sha256=a.sha256, slot="A", since=time.time()
        )

    def _result(self, a: messages.Assignment, outcome: Outcome, code: str = "", detail: str = "") -> messages.Result:
        return messages.Result(
            counter=a.counter, version=a.version, outcome=outcome, code=code, detail=detail, at=time.time()
        )

    def wait_connected(self) -> None:
        eventually(f"{self.name} connected", self._client.is_connected)

    def _publish(self, channel: Channel, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic(self.name, channel), payload, qos=1, retain=retain).wait_for_publish(10)

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        payload = base64.b64decode(json.loads(message.payload)["payload"])
        self.assigned.put(messages.Assignment.model_validate_json(payload))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one operator (ada) and one viewer (vera), and a publisher whose keys it knows."""
    root = tmp_path_factory.mktemp("fleet")
    folder = root / "server"
    init = [sys.executable, "-m", "flota", "server", "init", str(folder)]
    ports = ["--port", "0", "--device-port", "0", "--mqtt-port", "0"]
    admin = ["--admin-user", "ada", "--admin-password-stdin"]
    subprocess.run([*init, *ports, *admin], input=PASSWORD.encode(), check=True)
    process = Process(root, folder)
    process.start()
    try:
        yield from _running(process)
    finally:
        process.stop()
    log_text = process.log.read_text()
    assert "Traceback" not in log_text, log_text
    assert not (root / ".nicegui").exists(), "the dashboard keeps nothing on disk"


def _running(process: Process) -> Iterator[Server]:
    ca = process.folder / "ca.pem"
    url = process.ready["url"]
    with FleetClient(url, ca=ca) as anonymous:
        session = anonymous.login("ada", PASSWORD)
    with FleetClient(url, session.token, ca) as api:
        api.add_user(NewUser(name="vera", password=PASSWORD, role=Role.VIEWER))
        publisher = process.root / "publisher"
        release.init_publisher(publisher, ServerKeys.from_file(process.folder / "server-keys.json"))
        release.publish(publisher, api)  # devices enrol with the published root
        running = Server(process, url, api, publisher)
        yield running
        for device in running.devices.values():
            device.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        yield started
        started.close()


class Visit:
    """One browser session; it remembers every request and every complaint of the console."""

    def __init__(self, browser: Browser, server: Server) -> None:
        self.url = server.url
        # the CA is the fleet's own; the browser need not know it, the API client above checks it
        self._context = browser.new_context(ignore_https_errors=True, viewport={"width": 1360, "height": 900})
        self._context.set_default_timeout(20_000)
        self.page: Page = self._context.new_page()
        self.requested: list[str] = []
        self.complaints: list[str] = []
        self._context.on("request", lambda request: self.requested.append(request.url))
        self.page.on("websocket", lambda socket: self.requested.append(socket.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )

    def sign_in(self, user: str, password: str = PASSWORD) -> None:
        self.page.goto(f"{self.url}/login")
        self.page.fill("[name=username]", user)
        self.page.fill("[name=password]", password)
        self.page.click("button[type=submit]")

    def enter(self, token: str) -> None:
        """Take over a session, as the cookie that signing in gives."""
        self._context.add_cookies([{"name": COOKIE, "value": token, "url": self.url, "secure": True}])

    def open(self, path: str, test_id: str) -> None:
        """Open a page and wait until a part of it is there and the page is live."""
        self.page.goto(self.url + path)
        self.page.get_by_test_id(test_id).first.wait_for()

    def text(self, test_id: str) -> str:
        return self.page.get_by_test_id(test_id).inner_text()

    def see(self, test_id: str, text: str) -> None:
        """Wait until a part of the page says ``text``."""
        self.page.get_by_test_id(test_id).filter(has_text=text).first.wait_for()

    def row(self, test_id: str, text: str) -> str:
        """The text of the table row that has ``text``."""
        return self.page.get_by_test_id(test_id).locator("tbody tr").filter(has_text=text).first.inner_text()

    def close(self) -> None:
        self._context.close()


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visit]:
    """A fresh browser session; at its end nothing may have left the server and the console must be clean."""
    visit = Visit(browser, server)
    yield visit
    visit.close()
    host = server.url.split("//")[1]
    assert visit.requested
    assert not [url for url in visit.requested if url.split("/")[2] != host and not url.startswith("data:")]
    assert not visit.complaints


@pytest.fixture(scope="module")
def tokens(server: Server) -> dict[str, str]:
    """A session of every user."""
    return {user: server.session(user).token for user in USERS}


@pytest.fixture
def ada(visit: Visit, tokens: dict[str, str]) -> Visit:
    """An operator who is signed in."""
    visit.enter(tokens["ada"])
    return visit


@pytest.fixture
def vera(visit: Visit, tokens: dict[str, str]) -> Visit:
    """A viewer who is signed in."""
    visit.enter(tokens["vera"])
    return visit
