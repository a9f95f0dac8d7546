"""Rollouts end to end: a real server, a real broker, devices on the real wire."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fleet_harness import ServerProcess, WireDevice, wait_for

from flota.api import FleetClient
from flota.api.errors import Refused
from flota.api.models import MemberState, RolloutStatus, RolloutView, Wave

MakeDevice = Callable[..., WireDevice]
ONE_THEN_ALL = (Wave(size=1), Wave(percent=100))


def settle(client: FleetClient, rollout: RolloutView) -> RolloutView:
    wait_for("rollout settles", lambda: client.rollout(rollout.id).settled)
    return client.rollout(rollout.id)


def versions(client: FleetClient, name: str) -> list[tuple[str, str]]:
    return [(ran.version, ran.reason) for ran in client.history(name)]


@pytest.fixture
def three(make_device: MakeDevice, client: FleetClient, group: str) -> list[WireDevice]:
    """Three devices that run 1.0.0; 1.1.0 and 1.2.0 are released."""
    devices = [make_device(f"press-{number}") for number in (1, 2, 3)]
    first = client.create_rollout("motion", "1.0.0", group=group)
    assert settle(client, first).status is RolloutStatus.SUCCEEDED
    return devices


def test_the_story_of_the_demo(client: FleetClient, three: list[WireDevice]) -> None:
    names = [device.name for device in three]
    good = settle(client, client.create_rollout("motion", "1.1.0", devices=names, waves=ONE_THEN_ALL))
    assert good.status is RolloutStatus.SUCCEEDED
    assert [wave.status.value for wave in good.wave_views] == ["passed", "passed"]
    three[0].bad.add("1.2.0")
    bad = settle(client, client.create_rollout("motion", "1.2.0", devices=names, waves=ONE_THEN_ALL))
    assert bad.status is RolloutStatus.FAILED
    assert "health.outputs" in bad.reason
    assert [member.state for member in bad.members] == [MemberState.REVERTED, MemberState.SKIPPED, MemberState.SKIPPED]
    wait_for("events", lambda: len(client.history(names[0])) == 4)
    assert versions(client, names[0]) == [
        ("1.0.0", "rollout"),
        ("1.1.0", "rollout"),
        ("1.2.0", "rollout"),
        ("1.1.0", "rollback"),
    ]
    for other in names[1:]:
        assert [version for version, _ in versions(client, other)] == ["1.0.0", "1.1.0"]
    assert {client.device(name).desired_version for name in names} == {"1.1.0"}


def test_a_failed_wave_takes_everyone_back(client: FleetClient, three: list[WireDevice]) -> None:
    three[2].bad.add("1.1.0")
    names = [device.name for device in three]
    rollout = settle(
        client, client.create_rollout("motion", "1.1.0", devices=names, waves=(Wave(size=2), Wave(size=1)))
    )
    assert rollout.status is RolloutStatus.FAILED
    assert {member.state for member in rollout.members} == {MemberState.REVERTED}
    wait_for("events", lambda: all(versions(client, name)[-1] == ("1.0.0", "rollback") for name in names))
    assert three[0].taken[-1].reason == "rollback"


def test_pause_holds_the_next_wave_and_resume_goes_on(client: FleetClient, three: list[WireDevice]) -> None:
    three[0].held.add("1.1.0")
    names = [device.name for device in three]
    rollout = client.create_rollout("motion", "1.1.0", devices=names, waves=ONE_THEN_ALL)
    wait_for("probation", lambda: client.rollout(rollout.id).members[0].phase == "probation")
    assert client.pause_rollout(rollout.id).status is RolloutStatus.PAUSED
    three[0].release_held()
    wait_for("gate", lambda: client.rollout(rollout.id).wave_views[0].status.value == "soaking")
    assert [member.state.value for member in client.rollout(rollout.id).members] == ["succeeded", "waiting", "waiting"]
    client.resume_rollout(rollout.id)
    assert settle(client, rollout).status is RolloutStatus.SUCCEEDED
    with pytest.raises(Refused) as refused:
        client.pause_rollout(rollout.id)
    assert refused.value.code == "rollout.state"


@pytest.mark.parametrize("rollback", [True, False])
def test_abort(client: FleetClient, three: list[WireDevice], rollback: bool) -> None:
    three[1].held.add("1.1.0")
    names = [device.name for device in three]
    rollout = client.create_rollout("motion", "1.1.0", devices=names, waves=ONE_THEN_ALL)
    wait_for("second wave", lambda: client.rollout(rollout.id).members[1].phase == "probation")
    wait_for("third", lambda: client.rollout(rollout.id).members[2].state is MemberState.SUCCEEDED)
    assert client.abort_rollout(rollout.id, rollback=rollback).status is RolloutStatus.ABORTED
    three[1].release_held()
    settled = settle(client, rollout)
    expected = "1.0.0" if rollback else "1.1.0"
    wait_for("states", lambda: {client.device(name).running_version for name in names} == {expected})
    assert {member.state for member in settled.members} == {MemberState.REVERTED if rollback else MemberState.SUCCEEDED}


def test_what_a_rollout_refuses(client: FleetClient, three: list[WireDevice], group: str) -> None:
    three[0].held.add("1.1.0")
    running = client.create_rollout("motion", "1.1.0", devices=[three[0].name])
    cases = {
        "rollout.busy": lambda: client.create_rollout("motion", "1.2.0", group=group),
        "not-found": lambda: client.create_rollout("motion", "9.9.9", group=group),
        "request.invalid": lambda: client._post("/rollouts", RolloutView, Wave(size=1)),
    }
    for code, attempt in cases.items():
        with pytest.raises(Refused) as refused:
            attempt()
        assert refused.value.code == code
        assert refused.value.message
    three[0].release_held()
    assert settle(client, running).status is RolloutStatus.SUCCEEDED


def test_kill_the_server_in_the_middle(server: ServerProcess, client: FleetClient, three: list[WireDevice]) -> None:
    three[0].held.add("1.1.0")
    names = [device.name for device in three]
    rollout = client.create_rollout("motion", "1.1.0", devices=names, waves=ONE_THEN_ALL)
    wait_for("probation", lambda: client.rollout(rollout.id).members[0].phase == "probation")
    old_broker = server.broker_pid()
    server.kill()
    three[0].release_held()
    server.start()
    assert server.broker_pid() != old_broker
    done = settle(client, rollout)
    assert done.status is RolloutStatus.SUCCEEDED
    assert [assignment.version for assignment in three[0].taken] == ["1.0.0", "1.1.0"]
    assert client.check_audit().intact


def test_kill_the_broker_in_the_middle(server: ServerProcess, client: FleetClient, three: list[WireDevice]) -> None:
    three[0].held.add("1.1.0")
    names = [device.name for device in three]
    rollout = client.create_rollout("motion", "1.1.0", devices=names, waves=ONE_THEN_ALL)
    wait_for("probation", lambda: client.rollout(rollout.id).members[0].phase == "probation")
    for lost in server.config.broker_folder.glob("retained.db*"):
        lost.unlink()
    old_broker = server.kill_broker()
    wait_for("new broker", lambda: server.broker_pid() != old_broker)
    wait_for("reconnect", three[0].mqtt.is_connected)
    three[0].release_held()
    assert settle(client, rollout).status is RolloutStatus.SUCCEEDED
    assert [assignment.version for assignment in three[2].taken] == ["1.0.0", "1.1.0"]
