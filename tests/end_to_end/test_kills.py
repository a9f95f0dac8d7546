"""``kill -9`` of agent, server and broker in the middle of a rollout: the rollout completes, history is right."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from agent_bundles import MODEL
from fleet_driver import Device, Fleet, eventually
from slow_line import SlowLine

from flota.api.models import RolloutStatus, RolloutView, Wave

pytestmark = [pytest.mark.xdist_group("end-to-end-kills"), pytest.mark.slow, pytest.mark.timeout(600)]

CANARY, OTHER = "canary", "other"
HELD_BYTES = 256 * 1024
WIDTH, LAYERS = 512, 4  # a bundle of over a megabyte, so that a download has a middle

Kill = Callable[[Fleet], None]


def kill_agent(fleet: Fleet) -> None:
    canary = fleet.devices[CANARY].process
    canary.kill()
    canary.start()


def kill_server(fleet: Fleet) -> None:
    before = fleet.addresses
    fleet.server.kill()
    assert fleet.brokers(), "only the server was to die"
    fleet.restart_server()
    for address in ("url", "device_url", "mqtt_port"):
        assert fleet.addresses[address] == before[address]


def kill_broker(fleet: Fleet) -> None:
    fleet.kill_broker()


def kill_everything(fleet: Fleet) -> None:
    """What a power cut leaves behind."""
    for device in fleet.devices.values():
        device.process.kill()
    fleet.server.kill()
    os.kill(fleet.broker_pid, signal.SIGKILL)
    fleet.restart_server()
    for device in fleet.devices.values():
        device.process.start()


@dataclass
class Stage:
    """A fleet of two; the canary fetches its bundles over a line that can be held."""

    fleet: Fleet
    line: SlowLine
    minor: int = 0

    @property
    def canary(self) -> Device:
        return self.fleet.devices[CANARY]

    def begin(self) -> RolloutView:
        """Publish one more version and begin to roll it out, the canary first."""
        self.minor += 1
        version = f"1.{self.minor}.0"
        self.fleet.release(version, seed=self.minor, width=WIDTH, layers=LAYERS)
        return self.fleet.roll_out(version, [CANARY, OTHER], waves=(Wave(size=1), Wave(size=1)))


@pytest.fixture(scope="module")
def fleet(new_fleet: Callable[..., Fleet]) -> Fleet:
    return new_fleet()


@pytest.fixture(scope="module")
def stage(fleet: Fleet) -> Iterator[Stage]:
    for name in (CANARY, OTHER):
        fleet.add_device(name, start=False)
    with SlowLine(fleet.devices[CANARY].artifacts_url, limit_bytes=HELD_BYTES) as line:
        fleet.devices[CANARY].set(artifacts_url=line.url)
        for device in fleet.devices.values():
            device.process.start()
        fleet.wait_online()
        stage = Stage(fleet, line)
        fleet.settled(stage.begin().id)
        yield stage


def at_assignment(stage: Stage, kill: Kill) -> RolloutView:
    """The assignment is published; the agent, held still, has not taken it."""
    stage.canary.process.signal(signal.SIGSTOP)
    published = stage.fleet.metric("flota_assignments_published_total")
    rollout = stage.begin()
    eventually("assigned", lambda: stage.fleet.member_states(rollout.id)[CANARY] == "assigned")
    eventually("published", lambda: stage.fleet.metric("flota_assignments_published_total") > published)
    kill(stage.fleet)
    stage.canary.process.signal(signal.SIGCONT)
    return rollout


def at_download(stage: Stage, kill: Kill) -> RolloutView:
    """A part of the bundle is on disk; the rest does not come before the kill."""
    stage.line.hold()
    rollout = stage.begin()
    downloads = stage.canary.folder / "downloads"
    eventually("a part is there", lambda: any(part.stat().st_size > 0 for part in downloads.glob("*.part")))
    assert stage.canary.status().phase == "download"
    kill(stage.fleet)
    stage.line.release()
    return rollout


def at_probation(stage: Stage, kill: Kill) -> RolloutView:
    """The new version serves on the canary and is not confirmed."""
    rollout = stage.begin()
    eventually("in probation", lambda: stage.canary.status().phase == "probation")
    kill(stage.fleet)
    return rollout


CASES = [
    *itertools.product((at_assignment, at_download, at_probation), (kill_agent, kill_server, kill_broker)),
    (at_probation, kill_everything),
]


@pytest.mark.parametrize(("moment", "kill"), CASES)
def test_a_rollout_completes(stage: Stage, moment: Callable[[Stage, Kill], RolloutView], kill: Kill) -> None:
    fleet = stage.fleet
    before = {name: fleet.client.device(name) for name in fleet.devices}
    history = {name: fleet.versions(name) for name in fleet.devices}
    rollouts = len(fleet.client.rollouts())

    rollout = moment(stage, kill)

    ended = fleet.settled(rollout.id)
    assert ended.status is RolloutStatus.SUCCEEDED, ended
    assert {member.state.value for member in ended.members} == {"succeeded"}
    assert len(fleet.client.rollouts()) == rollouts + 1
    for name in fleet.devices:
        after = fleet.client.device(name)
        assert fleet.versions(name) == [*history[name], rollout.version]
        assert (after.running_model, after.running_version) == (MODEL, rollout.version)
        assert after.desired_version == rollout.version
        assert after.desired_counter == before[name].desired_counter + 1, "assigned once"
        assert_told_once(fleet, name, after.desired_counter)
    assert fleet.brokers() == [fleet.broker_pid]
    assert fleet.client.check_audit().intact


def assert_told_once(fleet: Fleet, name: str, counter: int) -> None:
    """The whole story of an assignment reached the server, each part of it once."""
    wanted = ["assigned", "switched", "confirmed"]

    def told() -> list[str]:
        return [event.kind for event in fleet.events(name, counter=counter) if event.kind in wanted]

    eventually(f"{name} told of its update", lambda: "confirmed" in told())
    assert told() == wanted
    events = fleet.client.events(device=name, limit=10_000)
    assert len({event.seq for event in events}) == len(events)


def test_an_idle_server_comes_back_with_its_devices(stage: Stage) -> None:
    fleet = stage.fleet
    orphans = fleet.brokers()
    kill_server(fleet)
    fleet.wait_online()
    assert len(fleet.brokers()) == 1
    assert fleet.brokers() != orphans


def test_a_broker_that_is_killed_again_and_again_comes_back(stage: Stage) -> None:
    for _ in range(3):
        stage.fleet.kill_broker()
    stage.fleet.wait_online()
    assert stage.fleet.server.alive


def test_a_second_server_of_the_same_folder_is_refused(stage: Stage) -> None:
    """It must not take the running server's broker away, though that looks like one left over."""
    from flota_command import flota

    broker = stage.fleet.brokers()
    answer = flota("server", "run", str(stage.fleet.server_folder))
    assert answer.code == "server.running"
    assert stage.fleet.brokers() == broker
    stage.fleet.wait_online()
