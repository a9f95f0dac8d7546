"""The real server process, its broker, and real agent processes: what an operator would see."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from agent_bundles import MODEL, make_bundle
from agent_fleet import Agent, wait_until

from device_agent.config import load_config
from device_agent.enrol import enrol
from device_agent.errors import AlreadyEnrolled, EnrolmentFailed
from flota import release
from flota.api import FleetClient
from flota.api.models import CommandRequest, NewDevice, RolloutView, Wave
from flota.demo.attacks import forge_assignment, publish_as_broker_owner
from flota.messages import Assignment, DeviceKind, HealthLimits
from flota.trust.online import OnlineRepository

PASSWORD = "correct horse battery"
LIMITS = HealthLimits(min_inferences=10)


@dataclass
class Site:
    """A server folder, its process and its agents."""

    folder: Path
    agents: list[Agent] = field(default_factory=list)

    def start(self) -> None:
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*FLOTA, "server", "run", str(self.server), "--ready-file", str(ready)], stdout=log, stderr=log
            )
        wait_until(ready.exists, "server", 60)
        self.ready = json.loads(ready.read_text())

    @property
    def server(self) -> Path:
        return self.folder / "server"

    def sign_in(self) -> None:
        with FleetClient(self.ready["url"], ca=self.server / "ca.pem") as visitor:
            token = visitor.login("op", PASSWORD).token
        self.client = FleetClient(self.ready["url"], token, self.server / "ca.pem")

    def add(self, name: str) -> Agent:
        token = self.client.add_device(NewDevice(name=name, kind=DeviceKind.LINUX, target="linux-litert")).token
        folder = self.folder / "agents" / name
        enrol(self.ready["url"], self.server / "ca.pem", token, name, folder)
        agent = Agent(load_config(folder)).start()
        self.agents.append(agent)
        wait_until(lambda: self.client.device(name).online, f"{name} online")
        return agent

    def release(self, version: str, **changes: int) -> None:
        path = make_bundle(self.folder / "bundles", version, **changes)  # type: ignore[arg-type]
        release.add_release(self.folder / "publisher", [path], security_floor=None)
        release.publish(self.folder / "publisher", self.client)

    def roll_out(self, version: str, *names: str, limits: HealthLimits = LIMITS) -> RolloutView:
        made = self.client.create_rollout(
            MODEL, version, devices=names, waves=(Wave(percent=100),), probation_s=1.0, limits=limits
        )
        wait_until(lambda: self.client.rollout(made.id).settled, f"rollout of {version}", 60)
        return self.client.rollout(made.id)

    def ran(self, name: str) -> list[tuple[str, str]]:
        return [(ran.version, ran.reason) for ran in self.client.history(name)]


FLOTA = (sys.executable, "-m", "flota")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    ports = ("--port", "0", "--device-port", "0", "--mqtt-port", "0")
    init = [*FLOTA, "server", "init", str(site.server), "--admin-user", "op", "--admin-password-stdin", *ports]
    subprocess.run(init, input=PASSWORD + "\n", text=True, check=True, capture_output=True)
    keys = site.server / "server-keys.json"
    publisher = ["release", "init", "--publisher", str(site.folder / "publisher"), "--server-keys", str(keys)]
    subprocess.run([*FLOTA, *publisher], check=True, capture_output=True)
    site.start()
    try:
        site.sign_in()
        for number, version in enumerate(("1.0.0", "1.1.0")):
            site.release(version, seed=number)
        site.release("1.2.0", seed=5, width=256, layers=60)
        yield site
    finally:
        for agent in site.agents:
            if agent.process is not None and agent.process.poll() is None:
                agent.stop()
        site.process.terminate()
        site.process.wait(30)


def test_update_bad_version_and_the_history_of_the_device(site: Site) -> None:
    agent = site.add("line-1")
    assert site.roll_out("1.0.0", "line-1").status.value == "succeeded"
    assert site.roll_out("1.1.0", "line-1").status.value == "succeeded"
    bad = site.roll_out("1.2.0", "line-1", limits=HealthLimits(min_inferences=10, max_latency_ratio=4.0))
    assert bad.status.value == "failed"
    wait_until(lambda: len(site.ran("line-1")) == 4, "history")
    versions = [version for version, _ in site.ran("line-1")]
    assert versions == ["1.0.0", "1.1.0", "1.2.0", "1.1.0"]
    assert site.ran("line-1")[-1][1] == "rollback"
    agent.kill()
    agent.start()
    agent.wait_serving()
    wait_until(lambda: site.client.device("line-1").online, "online again")
    state = agent.state()
    assert state.running is not None
    assert state.running.version == "1.1.0", "a restart does not retry the bad version"
    assert [version for version, _ in site.ran("line-1")] == versions
    wait_until(lambda: len(site.client.telemetry(device="line-1")) > 0, "telemetry")
    assert site.client.command("line-1", CommandRequest(name="self-test")).values["mismatches"] == 0


def test_tampered_artifact_and_forged_assignment(site: Site) -> None:
    agent = site.add("line-2")
    site.roll_out("1.0.0", "line-2")
    site.release("1.4.0", seed=7)
    path = f"{MODEL}/1.4.0/{MODEL}-1.4.0-linux-litert.flota"
    artifact = next(p for p in (site.server / "trust").rglob(_digest(site, path)) if p.is_file())
    data = artifact.read_bytes()
    artifact.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert site.roll_out("1.4.0", "line-2").status.value == "failed"
    wait_until(lambda: "artifact.digest-mismatch" in _codes(site, "line-2"), "refusal")
    forged = forge_assignment(_assignment(agent))
    publish_as_broker_owner(site.server, site.ready["mqtt_port"], "line-2", forged)
    wait_until(lambda: "assignment.bad-signature" in _codes(site, "line-2"), "refusal")
    assert site.ran("line-2") == [("1.0.0", "rollout")]


def test_the_server_is_killed_during_a_rollout(site: Site) -> None:
    site.add("line-3")
    site.roll_out("1.0.0", "line-3")
    made = site.client.create_rollout(
        MODEL, "1.1.0", devices=("line-3",), waves=(Wave(percent=100),), probation_s=3.0, limits=LIMITS
    )
    wait_until(lambda: _phase(site, "line-3") != "idle", "update under way")
    site.process.kill()
    site.process.wait()
    site.start()
    wait_until(lambda: site.client.rollout(made.id).settled, "rollout", 60)
    assert site.client.rollout(made.id).status.value == "succeeded"
    assert [version for version, _ in site.ran("line-3")] == ["1.0.0", "1.1.0"]


def test_enrolment_is_refused_clearly_and_leaves_nothing(site: Site, tmp_path: Path) -> None:
    token = site.client.add_device(NewDevice(name="line-9", kind=DeviceKind.LINUX, target="linux-litert")).token
    ca, url = site.server / "ca.pem", site.ready["url"]
    with pytest.raises(EnrolmentFailed):
        enrol(url, ca, "not-a-token", "line-9", tmp_path / "a")
    with pytest.raises(EnrolmentFailed):
        enrol(url, ca, token, "line-8", tmp_path / "a")
    with pytest.raises(EnrolmentFailed):
        enrol("https://127.0.0.1:1", ca, token, "line-9", tmp_path / "a")
    assert not (tmp_path / "a").exists()
    enrol(url, ca, token, "line-9", tmp_path / "a")
    with pytest.raises(AlreadyEnrolled):
        enrol(url, ca, token, "line-9", tmp_path / "a")
    with pytest.raises(EnrolmentFailed):
        enrol(url, ca, token, "line-9", tmp_path / "b")
    assert (tmp_path / "a" / "identity" / "key.pem").stat().st_mode & 0o777 == 0o600


def _codes(site: Site, name: str) -> set[str]:
    return {event.code for event in site.client.events(device=name)}


def _phase(site: Site, name: str) -> str:
    phase = site.client.device(name).phase
    return getattr(phase, "value", str(phase))


def _digest(site: Site, path: str) -> str:
    return OnlineRepository(site.server / "trust").target(path).sha256


def _assignment(agent: Agent) -> Assignment:
    """A genuine looking assignment of this device, as the owner of the broker could read it."""
    state = agent.state()
    assert state.running is not None
    running = state.running
    return Assignment(
        device=agent.name,
        counter=state.counter,
        issued_at=0,
        expires_at=time.time() + 3600,
        model=running.model,
        version="1.1.0",
        target=running.target,
        path=f"{MODEL}/1.1.0/{MODEL}-1.1.0-linux-litert.flota",
        sha256=running.sha256,
        size=1,
    )
