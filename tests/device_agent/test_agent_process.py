"""Real agent processes against a real broker, HTTPS and TUF: updates, attacks, kills, and time without a network."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from agent_bundles import make_bundle
from agent_fleet import Agent, AgentFleet, wait_until
from securesystemslib.signer import CryptoSigner

from flota.messages import HealthLimits, Phase
from flota.topics import Channel


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentFleet]:
    with AgentFleet(tmp_path_factory.mktemp("f")) as fleet:
        bundles = fleet.folder / "bundles"
        fleet.v1 = fleet.release(make_bundle(bundles, "1.0.0", seed=1))  # type: ignore[attr-defined]
        fleet.v2 = fleet.release(make_bundle(bundles, "1.1.0", seed=2))  # type: ignore[attr-defined]
        fleet.slow = fleet.release(make_bundle(bundles, "1.2.0", seed=3, width=256, layers=40))  # type: ignore[attr-defined]
        fleet.wrong = fleet.release(make_bundle(bundles, "1.3.0", seed=4, wrong_golden=True))  # type: ignore[attr-defined]
        yield fleet


_names = iter(f"dev-{number}" for number in range(1000))


@pytest.fixture
def agent(fleet: AgentFleet) -> Iterator[Agent]:
    agent = fleet.enrol(next(_names)).start()
    yield agent
    if agent.process is not None and agent.process.poll() is None:
        assert agent.stop() == 0, agent.log
    assert "Traceback" not in agent.log, agent.log


def on_v1(fleet: AgentFleet, agent: Agent) -> None:
    counter = fleet.assign(agent, fleet.v1)  # type: ignore[attr-defined]
    assert fleet.wait_result(agent, counter).outcome.value == "confirmed"
    agent.wait_serving()


def test_update_and_rollback_of_a_slow_version(fleet: AgentFleet, agent: Agent) -> None:
    on_v1(fleet, agent)
    heard = fleet.heard[agent.name]
    counter = fleet.assign(agent, fleet.v2)  # type: ignore[attr-defined]
    assert fleet.wait_result(agent, counter).outcome.value == "confirmed"
    limits = HealthLimits(min_inferences=10, max_latency_ratio=4.0)
    counter = fleet.assign(agent, fleet.slow, probation_s=30.0, limits=limits)  # type: ignore[attr-defined]
    begin = time.monotonic()
    result = fleet.wait_result(agent, counter)
    assert (result.outcome.value, result.code) == ("rolled-back", "health.latency"), result
    assert time.monotonic() - begin < 20, "what is certainly bad is not waited for"
    fleet.wait_drained(agent)
    assert heard.history() == ["1.0.0", "1.1.0", "1.2.0", "1.1.0"]
    assert heard.state is not None
    assert heard.state.running is not None
    assert (heard.state.running.version, heard.state.phase, heard.state.online) == ("1.1.0", Phase.IDLE, True)
    assert heard.told()[-1] == ("rolled-back", "1.1.0", "health.latency")


def test_what_is_attacked_is_refused_and_nothing_changes(fleet: AgentFleet, agent: Agent) -> None:
    on_v1(fleet, agent)
    v2 = fleet.v2  # type: ignore[attr-defined]
    path = v2.path
    whole = fleet.repository.artifact(path).read_bytes()
    fleet.tampered[path] = whole[:-1] + bytes([whole[-1] ^ 1])
    try:
        result = fleet.wait_result(agent, fleet.assign(agent, v2))
    finally:
        del fleet.tampered[path]
    assert (result.outcome.value, result.code) == ("refused", "artifact.digest-mismatch")
    fleet.assign(agent, v2, signer=CryptoSigner.generate_ed25519())
    fleet.wait_told(agent, "refused", "assignment.bad-signature")
    fleet.assign(agent, v2, device="other")
    fleet.wait_told(agent, "refused", "assignment.wrong-device")
    fleet.assign(agent, v2, counter=1_000_000, expires_at=time.time() - 1)
    fleet.wait_told(agent, "refused", "assignment.expired")
    fleet.assign(agent, v2, counter=0)
    fleet.wait_told(agent, "refused", "assignment.replayed")
    for channel in (Channel.ASSIGN, Channel.ACK, Channel.CMD):
        fleet.send(agent, channel, b"\xff\x00garbage")
    fleet.wait_told(agent, "refused", "assignment.garbled")
    result = fleet.wait_result(agent, fleet.assign(agent, v2, version="9.9.9"))
    assert (result.outcome.value, result.code) == ("refused", "assignment.unreleased")
    result = fleet.wait_result(agent, fleet.assign(agent, v2, path="motion/9.9.9/none", version="9.9.9"))
    assert result.outcome.value in ("failed", "refused")
    state = agent.state()
    assert state.running is not None
    assert state.running.version == "1.0.0"
    assert fleet.heard[agent.name].history() == ["1.0.0"]
    assert list(agent.config.downloads.glob("*")) == []


def test_a_failed_self_test_never_switches(fleet: AgentFleet, agent: Agent) -> None:
    on_v1(fleet, agent)
    result = fleet.wait_result(agent, fleet.assign(agent, fleet.wrong))  # type: ignore[attr-defined]
    assert (result.outcome.value, result.code) == ("failed", "selftest.mismatch")
    fleet.wait_drained(agent)
    assert fleet.heard[agent.name].history() == ["1.0.0"]


@pytest.mark.parametrize("phase", [p for p in Phase if p not in (Phase.IDLE, Phase.ROLL_BACK)])
def test_killed_in_each_phase_it_finishes_after_the_restart(fleet: AgentFleet, agent: Agent, phase: Phase) -> None:
    on_v1(fleet, agent)
    counter = fleet.assign(agent, fleet.v2)  # type: ignore[attr-defined]
    deadline = time.monotonic() + 20
    while agent.state().phase is not phase and agent.state().last_result.counter != counter:  # type: ignore[union-attr]
        assert time.monotonic() < deadline
    agent.kill()
    agent.start()
    agent.wait_serving()
    assert fleet.wait_result(agent, counter).outcome.value == "confirmed"
    fleet.wait_drained(agent)
    assert fleet.heard[agent.name].history() == ["1.0.0", "1.1.0"]


def test_killed_while_it_rolls_back(fleet: AgentFleet, agent: Agent) -> None:
    on_v1(fleet, agent)
    limits = HealthLimits(min_inferences=10, max_latency_ms=1e-9)
    counter = fleet.assign(agent, fleet.v2, limits=limits)  # type: ignore[attr-defined]
    while agent.state().phase not in (Phase.ROLL_BACK, Phase.PROBATION):
        pass
    agent.kill()
    agent.start()
    assert fleet.wait_result(agent, counter).outcome.value == "rolled-back"
    fleet.wait_drained(agent)
    assert fleet.heard[agent.name].history() == ["1.0.0", "1.1.0", "1.0.0"]


def test_killed_again_and_again_in_probation_it_goes_back(fleet: AgentFleet, agent: Agent) -> None:
    on_v1(fleet, agent)
    counter = fleet.assign(agent, fleet.v2, probation_s=120.0)  # type: ignore[attr-defined]
    for _ in range(4):
        wait_until(lambda: agent.state().phase is Phase.PROBATION, "probation")
        agent.wait_serving()
        agent.kill()
        agent.start()
    result = fleet.wait_result(agent, counter)
    assert (result.outcome.value, result.code) == ("rolled-back", "health.crashed")
    agent.wait_serving()


def test_a_clean_stop_in_probation_is_no_crash_and_says_goodbye(fleet: AgentFleet, agent: Agent) -> None:
    on_v1(fleet, agent)
    counter = fleet.assign(agent, fleet.v2, probation_s=2.0)  # type: ignore[attr-defined]
    wait_until(lambda: agent.state().phase is Phase.PROBATION, "probation")
    assert agent.stop() == 0
    heard = fleet.heard[agent.name]
    wait_until(lambda: heard.state is not None and not heard.state.online, "goodbye")
    agent.start()
    assert fleet.wait_result(agent, counter).outcome.value == "confirmed"
    assert agent.state().job is None


def test_a_killed_agent_is_reported_offline_by_its_will(fleet: AgentFleet, agent: Agent) -> None:
    on_v1(fleet, agent)
    heard = fleet.heard[agent.name]
    agent.kill()
    wait_until(lambda: heard.state is not None and not heard.state.online and heard.state.seq == 0, "last will")


def test_without_broker_and_server_it_serves_on_and_catches_up(fleet: AgentFleet, agent: Agent) -> None:
    on_v1(fleet, agent)
    heard = fleet.heard[agent.name]
    wait_until(lambda: bool(heard.telemetry), "telemetry")
    fleet.stop_broker()
    fleet.stop_http()
    seen = max(heard.telemetry)
    try:
        wait_until(lambda: len(list(agent.config.telemetry.glob("*.cbor"))) >= 3, "telemetry on disk")
        assert agent.ready()
        agent.kill()
        agent.start()
        agent.wait_serving()
    finally:
        fleet.start_http()
        fleet.start_broker()
    wait_until(lambda: max(heard.telemetry) > seen + 3, "telemetry caught up")
    wait_until(lambda: max(heard.telemetry) - min(heard.telemetry) + 1 == len(heard.telemetry), "no reading is missing")
    counter = fleet.assign(agent, fleet.v2)  # type: ignore[attr-defined]
    assert fleet.wait_result(agent, counter).outcome.value == "confirmed"


def test_an_update_survives_a_server_that_goes_away_in_the_middle(fleet: AgentFleet, agent: Agent) -> None:
    on_v1(fleet, agent)
    fleet.stop_http()
    counter = fleet.assign(agent, fleet.v2)  # type: ignore[attr-defined]
    try:
        fleet.wait_told(agent, "phase", "trust.unavailable")
    finally:
        fleet.start_http()
    assert fleet.wait_result(agent, counter).outcome.value == "confirmed"


def test_the_newest_of_many_assignments_wins(fleet: AgentFleet, agent: Agent) -> None:
    on_v1(fleet, agent)
    counters = [fleet.assign(agent, wanted) for wanted in (fleet.v2, fleet.v1, fleet.v2, fleet.v1, fleet.v2)]  # type: ignore[attr-defined]
    fleet.wait_result(agent, counters[-1])
    state = agent.state()
    assert state.running is not None
    assert (state.running.version, state.phase, state.counter) == ("1.1.0", Phase.IDLE, counters[-1])


def test_the_floor_refuses_older_releases(fleet: AgentFleet, agent: Agent) -> None:
    fixed = fleet.release(make_bundle(fleet.folder / "bundles", "2.0.0", seed=9), floor=3)
    counter = fleet.assign(agent, fixed)
    assert fleet.wait_result(agent, counter).outcome.value == "confirmed"
    assert agent.state().security_floor == 3
    result = fleet.wait_result(agent, fleet.assign(agent, fleet.v1))  # type: ignore[attr-defined]
    assert (result.outcome.value, result.code) == ("refused", "release.under-floor")


def test_diagnostics(fleet: AgentFleet, agent: Agent) -> None:
    wait_until(lambda: fleet.heard[agent.name].state is not None, "online")
    assert fleet.ask(agent, "ping").ok
    reply = fleet.ask(agent, "self-test")
    assert (reply.ok, reply.code) == (False, "model.none")
    on_v1(fleet, agent)
    assert fleet.ask(agent, "status").values["version"] == "1.0.0"
    assert fleet.ask(agent, "self-test").values == {"version": "1.0.0", "cases": 4, "mismatches": 0}
    bench = fleet.ask(agent, "bench").values
    assert (bench["runs"], bench["unit"]) == (50, "ms")
    assert "connected to the broker" in str(fleet.ask(agent, "log").values["lines"])


def flota(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "flota", "agent", *arguments], capture_output=True, text=True)


def test_one_agent_a_folder_and_status(fleet: AgentFleet, agent: Agent) -> None:
    on_v1(fleet, agent)
    second = flota("run", str(agent.config.folder))
    assert second.returncode == 1
    assert "agent.already-running" in second.stderr
    assert "Traceback" not in second.stderr
    shown = flota("status", str(agent.config.folder), "--json")
    assert '"version": "1.0.0"' in shown.stdout
    assert '"process": true' in shown.stdout
    agent.stop()
    assert '"process": false' in flota("status", str(agent.config.folder), "--json").stdout


def test_a_lost_journal_costs_no_model(fleet: AgentFleet, agent: Agent) -> None:
    on_v1(fleet, agent)
    fleet.wait_drained(agent)
    agent.stop()
    agent.config.journal.write_bytes(b"rotten")
    agent.start()
    agent.wait_serving()
    fleet.wait_told(agent, "phase", "journal.corrupt")
    counter = fleet.assign(agent, fleet.v2)  # type: ignore[attr-defined]
    assert fleet.wait_result(agent, counter).outcome.value == "confirmed"
