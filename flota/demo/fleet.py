"""The fleet side of the demo: a server with its broker, three Linux agents, and a gateway with an emulated board."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from flota.api import FleetClient
from flota.api.models import EventView, NewDevice, RolloutView, Wave
from flota.demo.processes import Children, run_flota
from flota.demo.story import DeviceStory, Ran
from flota.demo.workshop import BOARD, MODEL, Built
from flota.messages import DeviceKind, HealthLimits
from flota.release import publish

OPERATOR = "operator"
CANARY = "linux-1"
LINUX = (CANARY, "linux-2", "linux-3")
MCU = "mcu-1"
DEVICES = (*LINUX, MCU)

_READY_S = 120.0
_ROLLOUT_S = 300.0
_PROBATION_S = 4.0
_LIMITS = HealthLimits(min_inferences=20, max_error_rate=0.0, max_latency_ratio=6.0)

RolloutProgress = Callable[[RolloutView], None]


@dataclass(frozen=True, slots=True)
class Address:
    """Where the running server answers; written by ``flota server run --ready-file``."""

    url: str
    dashboard: str
    mqtt_port: int


class Fleet:
    """Starts the real parts in ``folder`` and speaks to the server as an operator does."""

    def __init__(self, folder: Path, workspace: Path, children: Children) -> None:
        self.folder = folder
        self.server_folder = folder / "server"
        self.publisher = folder / "publisher"
        self.password = secrets.token_urlsafe(12)
        self._workspace = workspace
        self._children = children
        self._log = folder / "logs" / "fleet.log"
        self._client: FleetClient | None = None

    @property
    def ca(self) -> Path:
        """The certificate of the fleet's CA."""
        return self.server_folder / "ca.pem"

    @property
    def client(self) -> FleetClient:
        """The API, signed in; there is one after :meth:`start_server`."""
        assert self._client is not None
        return self._client

    def close(self) -> None:
        """Close the connection to the API."""
        if self._client is not None:
            self._client.close()

    def start_server(self) -> Address:
        """Set up the server, its broker and the publisher's root of trust; wait until the server answers."""
        folder, keys = str(self.server_folder), str(self.server_folder / "server-keys.json")
        init = ["server", "init", folder, "--admin-user", OPERATOR, "--admin-password-stdin"]
        init += ["--port", "0", "--device-port", "0", "--mqtt-port", "0"]  # free ones: never in another's way
        run_flota(init, self._log, stdin=self.password + "\n")
        run_flota(["release", "init", "--publisher", str(self.publisher), "--server-keys", keys], self._log)
        ready = self.folder / "server-ready.json"
        self._children.start("server", ["server", "run", folder, "--ready-file", str(ready)])
        self._children.wait_for("the server", ready.exists, _READY_S)
        found = json.loads(ready.read_bytes())
        with FleetClient(found["url"], ca=self.ca) as visitor:
            session = visitor.login(OPERATOR, self.password)
        self._client = FleetClient(found["url"], session.token, self.ca)
        publish(self.publisher, self.client)  # the root of trust: a device takes it along when it enrols
        return Address(found["url"], found["dashboard"], found["mqtt_port"])

    def start_board(self) -> str:
        """Start the emulated microcontroller, provisioned with the publisher's key; returns its serial URL."""
        port_file = self.folder / "board-port"
        self._children.start(
            "board",
            [
                *("board", "run", "--board", BOARD, "--flash", str(self.folder / "board.flash")),
                *("--provision", str(self.publisher / "keys" / "image.pub.pem"), "--port-file", str(port_file)),
                *("--workspace", str(self._workspace)),
            ],
        )
        self._children.wait_for("the emulated board", port_file.exists, _READY_S)
        return port_file.read_text().strip()

    def enrol(self, address: Address, name: str, *, board_port: str = "") -> None:
        """Register a device, enrol its agent with the one-time token, and start the agent."""
        kind, target = (DeviceKind.MCU, "cortex-m4f-aot") if board_port else (DeviceKind.LINUX, "linux-litert")
        device = NewDevice(name=name, kind=kind, target=target, board=BOARD if board_port else "", group="demo")
        token = self.client.add_device(device).token
        folder = str(self.folder / "agents" / name)
        serial = ["--board-port", board_port] if board_port else []
        enrol = ["agent", "enrol", "--server", address.url, "--ca", str(self.ca), "--token", token]
        run_flota([*enrol, "--device", name, "--dir", folder, *serial], self._log)
        self._children.start(name, ["agent", "run", folder, *serial])

    def wait_online(self) -> None:
        """Wait until every device has reported to the server."""
        self._children.wait_for(
            "every device online", lambda: all(device.online for device in self.client.devices()), _READY_S
        )

    def release(self, built: Built) -> None:
        """Sign the bundles with the publisher's keys and publish them on the server."""
        bundles = [str(path) for path in built.bundles]
        run_flota(["release", "create", "--publisher", str(self.publisher), *bundles], self._log)
        publish(self.publisher, self.client)

    def roll_out(
        self, version: str, progress: RolloutProgress, *, devices: Sequence[str] = DEVICES, waves: Sequence[Wave] = ()
    ) -> RolloutView:
        """Roll a version out and wait until no device is on its way any more; returns how it ended."""
        created = self.client.create_rollout(
            MODEL,
            version,
            devices=devices,
            waves=waves or (Wave(percent=100),),
            probation_s=_PROBATION_S,
            limits=_LIMITS,
        )
        seen = created

        def settled() -> bool:
            nonlocal seen
            seen = self.client.rollout(created.id)
            progress(seen)
            return seen.settled

        self._children.wait_for(f"the rollout of {version}", settled, _ROLLOUT_S)
        return seen

    def wait_for_event(self, device: str, code: str) -> EventView:
        """Wait until the server has stored an event of ``device`` with this code."""
        found: list[EventView] = []

        def arrived() -> bool:
            found.extend(event for event in self.client.events(device=device) if event.code == code)
            return bool(found)

        self._children.wait_for(f"{code} from {device}", arrived, _READY_S)
        return found[0]

    def stories(self) -> dict[str, DeviceStory]:
        """What really ran on every device, as the server recorded it from their events."""
        return {
            device.name: DeviceStory(
                device.kind.value,
                tuple(Ran(ran.version, ran.reason, ran.at) for ran in self.client.history(device.name)),
            )
            for device in self.client.devices()
        }
