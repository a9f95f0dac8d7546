"""Rollouts in waves over a live fleet: pause, abort, bad versions, silent devices, revocation."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator

import httpx
import paho.mqtt.client as mqtt
import pytest
from agent_bundles import MODEL
from fleet_driver import Device, Fleet, eventually
from paho.mqtt.enums import CallbackAPIVersion

from flota.api.models import RolloutStatus, RolloutView, Wave
from flota.messages import Event, EventBatch, EventKind, HealthLimits, encode
from flota.topics import Channel, topic

pytestmark = [pytest.mark.xdist_group("end-to-end-rollouts"), pytest.mark.slow, pytest.mark.timeout(600)]

CANARY, SECOND, THIRD = NAMES = ("canary", "second", "third")
TWO_WAVES = (Wave(size=1), Wave(percent=100))
LONG_S = 600.0
TICKS = 4

Versions = Iterator[str]


@pytest.fixture(scope="module")
def fleet(new_fleet: Callable[..., Fleet]) -> Fleet:
    """Three agents that run one version."""
    fleet = new_fleet(tick_s=0.2)
    for name in NAMES:
        fleet.add_device(name)
    fleet.wait_online()
    fleet.release("1.0.0")
    assert fleet.settled(fleet.roll_out("1.0.0", NAMES, probation_s=0.5).id).status is RolloutStatus.SUCCEEDED
    return fleet


@pytest.fixture(scope="module")
def versions(fleet: Fleet) -> Versions:
    """A new good version each time, published."""

    def publish() -> Versions:
        minor = 0
        while True:
            minor += 1
            fleet.release(f"1.{minor}.0", seed=minor)
            yield f"1.{minor}.0"

    return publish()


@pytest.fixture
def before(fleet: Fleet) -> dict[str, list[str]]:
    """The history of every device when the test begins."""
    return {name: fleet.versions(name) for name in NAMES}


def let_engine_look(fleet: Fleet) -> None:
    """Until the engine has looked at all rollouts several more times: what it has not done now, it will not do."""
    ticks = fleet.metric("flota_engine_ticks_total")
    eventually("the engine looks again", lambda: fleet.metric("flota_engine_ticks_total") >= ticks + TICKS)


def wave_status(rollout: RolloutView) -> list[str]:
    return [wave.status.value for wave in rollout.wave_views]


def told_of(fleet: Fleet, name: str, version: str) -> list[str]:
    """The kinds of events in which a device mentions a version."""
    return [event.kind for event in fleet.client.events(device=name, limit=10_000) if event.version == version]


def test_waves_go_one_after_the_other(fleet: Fleet, versions: Versions, before: dict[str, list[str]]) -> None:
    version = next(versions)
    ended = fleet.settled(fleet.roll_out(version, NAMES, waves=TWO_WAVES).id)
    assert ended.status is RolloutStatus.SUCCEEDED
    assert wave_status(ended) == ["passed", "passed"]
    assert {name: fleet.versions(name) for name in NAMES} == {name: [*before[name], version] for name in NAMES}
    first = next(member for member in ended.members if member.device == CANARY)
    assert first.finished_at is not None
    for member in ended.members:
        if member.device != CANARY:
            assert member.assigned_at is not None
            assert member.assigned_at >= first.finished_at


def test_pause_stops_the_next_wave_and_resume_goes_on(
    fleet: Fleet, versions: Versions, before: dict[str, list[str]]
) -> None:
    version = next(versions)
    rollout = fleet.roll_out(version, NAMES, waves=TWO_WAVES)
    eventually("the canary is assigned", lambda: fleet.member_states(rollout.id)[CANARY] == "assigned")
    assert fleet.client.pause_rollout(rollout.id).status is RolloutStatus.PAUSED

    # What was assigned goes on to its end; nothing else begins.
    eventually("the canary confirms", lambda: fleet.member_states(rollout.id)[CANARY] == "succeeded")
    let_engine_look(fleet)
    assert fleet.member_states(rollout.id) == {CANARY: "succeeded", SECOND: "waiting", THIRD: "waiting"}
    for name in (SECOND, THIRD):
        assert fleet.versions(name) == before[name]
        assert fleet.client.device(name).desired_version == before[name][-1]

    fleet.client.resume_rollout(rollout.id)
    assert fleet.settled(rollout.id).status is RolloutStatus.SUCCEEDED
    for name in NAMES:
        assert fleet.versions(name) == [*before[name], version]


def test_abort_takes_back_what_confirmed_and_what_is_in_probation(
    fleet: Fleet, versions: Versions, before: dict[str, list[str]]
) -> None:
    """The canary has confirmed, the second is in probation, the third waits for its wave."""
    version = next(versions)
    rollout = fleet.roll_out(version, NAMES, waves=(Wave(size=1),) * 3, probation_s=3.0)
    eventually("the second is in probation", lambda: fleet.devices[SECOND].status().phase == "probation")
    assert fleet.member_states(rollout.id) == {CANARY: "succeeded", SECOND: "assigned", THIRD: "waiting"}

    fleet.client.abort_rollout(rollout.id)

    ended = fleet.settled(rollout.id)
    assert ended.status is RolloutStatus.ABORTED
    assert fleet.member_states(rollout.id) == {CANARY: "reverted", SECOND: "reverted", THIRD: "skipped"}
    assert fleet.versions(CANARY) == [*before[CANARY], version, before[CANARY][-1]]
    assert fleet.versions(SECOND) == [*before[SECOND], version, before[SECOND][-1]]
    assert fleet.versions(THIRD) == before[THIRD]
    assert told_of(fleet, THIRD, version) == []
    assert [ran.reason for ran in fleet.client.history(CANARY)][-2:] == ["rollout", "rollback"]


def test_abort_without_rollback_keeps_what_was_reached(
    fleet: Fleet, versions: Versions, before: dict[str, list[str]]
) -> None:
    version = next(versions)
    rollout = fleet.roll_out(version, NAMES, waves=TWO_WAVES, wave_soak_s=LONG_S)
    eventually("the first wave soaks", lambda: wave_status(fleet.client.rollout(rollout.id))[0] == "soaking")
    fleet.client.abort_rollout(rollout.id, rollback=False)
    assert fleet.settled(rollout.id).status is RolloutStatus.ABORTED
    assert fleet.versions(CANARY) == [*before[CANARY], version]
    assert fleet.versions(SECOND) == before[SECOND]
    assert fleet.client.device(CANARY).desired_version == version


def test_a_version_that_fails_its_self_test_never_serves(fleet: Fleet, before: dict[str, list[str]]) -> None:
    fleet.release("2.0.0", seed=77, wrong_golden=True)
    ended = fleet.settled(fleet.roll_out("2.0.0", NAMES, waves=TWO_WAVES).id)
    assert ended.status is RolloutStatus.FAILED
    assert "selftest.mismatch" in ended.reason
    assert wave_status(ended)[0] == "failed"
    assert next(member.code for member in ended.members if member.device == CANARY)
    assert_only_the_canary_saw(fleet, "2.0.0", before)
    assert fleet.versions(CANARY) == before[CANARY], "it was never switched to"


def test_a_version_that_is_slow_on_the_device_rolls_back_by_itself(fleet: Fleet, before: dict[str, list[str]]) -> None:
    """Signature, install and self-test are all right: only its probation finds it out."""
    fleet.release("2.1.0", seed=78, width=512, layers=24)
    limits = HealthLimits(min_inferences=5, max_latency_ratio=5.0)
    ended = fleet.settled(fleet.roll_out("2.1.0", NAMES, waves=TWO_WAVES, limits=limits).id)
    assert ended.status is RolloutStatus.FAILED
    assert "health.latency" in ended.reason
    assert_only_the_canary_saw(fleet, "2.1.0", before)
    assert fleet.versions(CANARY) == [*before[CANARY], "2.1.0", before[CANARY][-1]]
    events = [event for event in fleet.client.events(device=CANARY, limit=10_000) if event.code == "health.latency"]
    assert [event.kind for event in events] == [EventKind.ROLLED_BACK.value]


def assert_only_the_canary_saw(fleet: Fleet, version: str, before: dict[str, list[str]]) -> None:
    for name in (SECOND, THIRD):
        assert fleet.versions(name) == before[name]
        assert told_of(fleet, name, version) == []
        assert fleet.client.device(name).desired_version == before[name][-1]
    canary = fleet.client.device(CANARY)
    assert canary.running_version == canary.desired_version == before[CANARY][-1]


def test_a_bad_version_is_not_tried_again_after_a_restart(fleet: Fleet, before: dict[str, list[str]]) -> None:
    for name in (CANARY, SECOND):
        fleet.devices[name].process.kill()
        fleet.devices[name].process.start()
    starts = {name: starts_of(fleet, name) for name in (CANARY, SECOND)}
    for name, count in starts.items():
        eventually(f"{name} is back", lambda name=name, count=count: starts_of(fleet, name) > count)
    fleet.wait_online()
    for name in NAMES:
        assert fleet.versions(name) == before[name]
        assert fleet.devices[name].status().version == before[name][-1]


def starts_of(fleet: Fleet, name: str) -> int:
    return [event.kind for event in fleet.client.events(device=name, limit=10_000)].count(EventKind.STARTED.value)


def test_a_device_that_stays_silent_fails_its_wave_and_ends_on_the_old_version(
    fleet: Fleet, versions: Versions, before: dict[str, list[str]]
) -> None:
    version = next(versions)
    canary = fleet.devices[CANARY]
    canary.process.kill()
    rollout = fleet.roll_out(version, NAMES, waves=TWO_WAVES, timeout_s=1.0)
    eventually("the rollout fails", lambda: fleet.client.rollout(rollout.id).status is RolloutStatus.FAILED)
    assert "rollout.timeout" in fleet.client.rollout(rollout.id).reason

    canary.process.start()

    assert fleet.settled(rollout.id).status is RolloutStatus.FAILED
    assert fleet.member_states(rollout.id) == {CANARY: "reverted", SECOND: "skipped", THIRD: "skipped"}
    assert canary.status().version == before[CANARY][-1]
    assert version not in fleet.versions(CANARY)
    for name in (SECOND, THIRD):
        assert fleet.versions(name) == before[name]


def test_a_wave_may_lose_a_device_when_its_threshold_allows(
    fleet: Fleet, versions: Versions, before: dict[str, list[str]]
) -> None:
    version = next(versions)
    fleet.devices[THIRD].process.kill()
    try:
        rollout = fleet.client.create_rollout(
            MODEL, version, devices=NAMES, success_threshold=0.6, probation_s=0.5, timeout_s=8.0
        )
        eventually("it ends", lambda: fleet.client.rollout(rollout.id).settled)
        ended = fleet.client.rollout(rollout.id)
        assert ended.status is RolloutStatus.SUCCEEDED
        assert (ended.wave_views[0].succeeded, ended.wave_views[0].failed) == (2, 1)
    finally:
        fleet.devices[THIRD].process.start()
    eventually("the third comes, late", lambda: fleet.versions(THIRD) == [*before[THIRD], version])


# ---- revocation


class Wire:
    """The MQTT connection of an enrolled device, in the test's own hands."""

    def __init__(self, fleet: Fleet, device: Device) -> None:
        self.connected = self.refused = False
        self._device = device.name
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=device.name, protocol=mqtt.MQTTv5)
        self._client.tls_set_context(tls(fleet, device))
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.connect_async("127.0.0.1", int(fleet.addresses["mqtt_port"]))
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def tell(self, seq: int) -> None:
        """Publish an event."""
        event = Event(seq=seq, at=1.0, kind=EventKind.PHASE, detail="from the wire")
        payload = encode(EventBatch(device=self._device, events=(event,)))
        self._client.publish(topic(self._device, Channel.EVENT), payload, qos=1)

    def _on_connect(self, *_: object) -> None:
        self.connected = True

    def _on_connect_fail(self, *_: object) -> None:
        self.refused = True

    def _on_disconnect(self, *_: object) -> None:
        self.connected, self.refused = False, True


def tls(fleet: Fleet, device: Device) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(fleet.ca))
    identity = device.folder / "identity"
    context.load_cert_chain(str(identity / "certificate.pem"), str(identity / "key.pem"))
    return context


def fetch(fleet: Fleet, device: Device) -> int:
    """HTTP status of what a device asks for first; 0 where the connection is not even taken."""
    try:
        return httpx.get(
            f"{device.artifacts_url.rstrip('/')}/tuf/metadata/timestamp.json", verify=tls(fleet, device)
        ).status_code
    except httpx.TransportError:
        return 0


def test_a_revoked_device_is_cut_off(fleet: Fleet) -> None:
    lost = fleet.add_device("lost", start=False)
    wire = Wire(fleet, lost)
    try:
        eventually("connected", lambda: wire.connected)
        wire.tell(1)
        eventually("heard", lambda: len(fleet.client.events(device="lost")) == 1)
        assert fetch(fleet, lost) == 200

        fleet.client.revoke_device("lost")

        assert fetch(fleet, lost) in (0, 403)
        wire.tell(2)
        again = Wire(fleet, lost)
        try:
            eventually("a new connection is refused", lambda: again.refused and not again.connected)
        finally:
            again.close()
    finally:
        wire.close()
    assert len(fleet.client.events(device="lost")) == 1, "deaf and dumb, also on the open connection"
    assert fleet.client.device("lost").status == "revoked"
    fleet.wait_online(*NAMES)


def test_a_revoked_device_is_left_out_of_a_running_rollout(
    fleet: Fleet, versions: Versions, before: dict[str, list[str]]
) -> None:
    """Last in this module: it revokes one of the three."""
    version = next(versions)
    rollout = fleet.roll_out(version, NAMES, waves=TWO_WAVES)
    fleet.client.revoke_device(THIRD)
    ended = fleet.settled(rollout.id)
    assert ended.status is RolloutStatus.SUCCEEDED
    assert fleet.member_states(rollout.id) == {CANARY: "succeeded", SECOND: "succeeded", THIRD: "skipped"}
    assert fleet.devices[THIRD].status().version == before[THIRD][-1]
    assert fetch(fleet, fleet.devices[THIRD]) in (0, 403)
