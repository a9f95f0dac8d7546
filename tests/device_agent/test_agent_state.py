"""The state machine: every path by hand, and whatever hypothesis can think of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent.journal import Journal
from device_agent.state import (
    MAX_OUTBOX,
    MAX_STARTS,
    TRANSITIONS,
    Acked,
    AgentEvent,
    AgentState,
    Assigned,
    Booted,
    Committed,
    Connected,
    Downloaded,
    EnvelopeRefused,
    Failed,
    IllegalEvent,
    Installed,
    Judged,
    Noted,
    Report,
    Rest,
    Reverted,
    SelfTested,
    Started,
    Stopping,
    Switched,
    Verified,
    Work,
    diagram,
    step,
)
from flota.messages import Assignment, EventKind, Outcome, Phase, Running

VERSIONS = {"1.0.0": "a" * 64, "1.1.0": "b" * 64, "1.2.0": "c" * 64}
GOOD_PATH = (Downloaded(1, 2), Verified(1, 2, 0), Installed(1, 2), SelfTested(1, 2, 0.5), Switched(1, 2), Judged(1, 2))


def assignment(counter: int, version: str = "1.1.0") -> Assignment:
    return Assignment(
        device="d",
        counter=counter,
        issued_at=0,
        expires_at=1e12,
        model="m",
        version=version,
        target="linux-litert",
        path=f"m/{version}/x",
        sha256=VERSIONS[version],
        size=1,
    )


def assigned(counter: int, version: str = "1.1.0") -> Assigned:
    return Assigned(1.0, assignment(counter, version), str(counter))


def running(version: str = "1.0.0", slot: str = "A") -> Running:
    return Running.model_validate(
        {
            "model": "m",
            "version": version,
            "target": "linux-litert",
            "sha256": VERSIONS[version],
            "slot": slot,
            "since": 0,
        }
    )


def walk(state: AgentState, *events: AgentEvent) -> AgentState:
    for event in events:
        state = step(state, event)[0]
    return state


def told(state: AgentState) -> list[tuple[str, str, str]]:
    return [(event.kind.value, event.version, event.code) for event in state.outbox]


IDLE = AgentState(running=running(), counter=1)


def test_a_good_update_is_confirmed() -> None:
    state = walk(IDLE, assigned(2), *GOOD_PATH, Committed(9.0, 2))
    assert state.phase is Phase.IDLE
    assert state.job is None
    assert state.running is not None
    assert (state.running.version, state.running.slot) == ("1.1.0", "B")
    assert state.previous == running()
    assert state.last_result is not None
    assert (state.last_result.counter, state.last_result.outcome) == (2, Outcome.CONFIRMED)
    assert told(state) == [("assigned", "1.1.0", ""), ("switched", "1.1.0", ""), ("confirmed", "1.1.0", "")]


def test_each_phase_orders_its_work_before_it_reports() -> None:
    state, effects = step(IDLE, assigned(2))
    for event in GOOD_PATH:
        assert [type(effect) for effect in effects] == [Work, Report]
        assert effects[0] == Work(state.phase, state.job)  # type: ignore[arg-type]
        state, effects = step(state, event)
    assert state.phase is Phase.CONFIRM
    assert step(state, Committed(1.0, 2))[1] == (Rest(), Report())


def test_bad_health_goes_back_and_says_which_version_runs_again() -> None:
    state = walk(IDLE, assigned(2), *GOOD_PATH[:-1], Judged(5.0, 2, "health.latency", "slow"), Reverted(7.0, 2))
    assert state.running == running().model_copy(update={"since": 7.0})
    assert state.last_result is not None
    assert (state.last_result.outcome, state.last_result.code) == (Outcome.ROLLED_BACK, "health.latency")
    assert told(state)[-1] == ("rolled-back", "1.0.0", "health.latency")


def test_a_refused_bundle_changes_nothing() -> None:
    state = walk(IDLE, assigned(2), Downloaded(1, 2), Failed(1, 2, "artifact.digest-mismatch", "x", refused=True))
    assert state.running == IDLE.running
    assert state.last_result is not None
    assert (state.last_result.outcome, state.last_result.counter) == (Outcome.REFUSED, 2)
    assert told(state)[-1] == ("refused", "1.1.0", "artifact.digest-mismatch")


def test_a_version_that_never_served_failed_and_was_not_rolled_back() -> None:
    state = walk(IDLE, assigned(2), *GOOD_PATH[:4], Failed(1, 2, "runtime.failed", "x"), Reverted(1, 2))
    assert state.last_result is not None
    assert state.last_result.outcome is Outcome.FAILED
    assert told(state)[-1] == ("failed", "1.1.0", "runtime.failed")
    assert state.running == IDLE.running


def test_what_runs_already_is_confirmed_at_once() -> None:
    state, effects = step(IDLE, assigned(2, "1.0.0"))
    assert state.last_result is not None
    assert (state.last_result.counter, state.last_result.outcome) == (2, Outcome.CONFIRMED)
    assert effects == (Rest(), Report())
    assert ("switched", "1.0.0", "") not in told(state)


@pytest.mark.parametrize("counter", [0, 1])
def test_old_and_repeated_counters_mean_nothing(counter: int) -> None:
    assert step(IDLE, assigned(counter)) == (IDLE, ())


def test_the_floor_rises_only_when_confirmed() -> None:
    state = walk(IDLE, assigned(2), Downloaded(1, 2), Verified(1, 2, 7), *GOOD_PATH[2:])
    assert state.security_floor == 0
    assert walk(state, Committed(1, 2)).security_floor == 7


def test_a_newer_assignment_replaces_one_that_is_not_on_probation() -> None:
    state = walk(IDLE, assigned(2), Downloaded(1, 2), assigned(3, "1.2.0"))
    assert state.job is not None
    assert (state.job.assignment.counter, state.phase) == (3, Phase.DOWNLOAD)
    assert walk(state, Verified(1, 2, 0)) is state, "news of the former work is dropped"


def test_a_newer_assignment_in_probation_goes_back_first() -> None:
    state = walk(IDLE, assigned(2), *GOOD_PATH[:-1], assigned(3, "1.2.0"))
    assert (state.phase, state.pending) == (Phase.ROLL_BACK, assignment(3, "1.2.0"))
    state = walk(state, Reverted(1, 2))
    assert state.job is not None
    assert (state.phase, state.job.assignment.counter, state.job.slot) == (Phase.DOWNLOAD, 3, "B")


def test_an_assignment_back_to_the_former_version_in_probation() -> None:
    state = walk(IDLE, assigned(2), *GOOD_PATH[:-1], assigned(3, "1.0.0"), Reverted(1, 2))
    assert state.phase is Phase.IDLE
    assert state.last_result is not None
    assert (state.last_result.counter, state.last_result.outcome) == (3, Outcome.CONFIRMED)


def test_the_same_version_under_a_new_counter_goes_on_in_probation() -> None:
    state = walk(IDLE, assigned(2), *GOOD_PATH[:-1], assigned(3), Judged(1, 3), Committed(1, 3))
    assert state.last_result is not None
    assert (state.last_result.counter, state.last_result.outcome) == (3, Outcome.CONFIRMED)


def test_an_assignment_during_the_switch_waits() -> None:
    state = walk(IDLE, assigned(2), *GOOD_PATH[:4], assigned(3, "1.0.0"))
    assert (state.phase, state.pending) == (Phase.SWITCH, assignment(3, "1.0.0"))
    state = walk(state, Switched(1, 2), Reverted(1, 2))
    assert state.running is not None
    assert (state.running.version, state.phase) == ("1.0.0", Phase.IDLE)


def test_crashes_in_probation_are_counted_and_clean_stops_are_not() -> None:
    state = walk(IDLE, assigned(2), *GOOD_PATH[:-1])
    for _ in range(10):
        state = walk(state, Stopping(1), Booted(1), Started(1, running("1.1.0", "B")))
    assert state.phase is Phase.PROBATION
    for _ in range(MAX_STARTS):
        state = walk(state, Booted(1), Started(1, running("1.1.0", "B")))
        assert state.phase is Phase.PROBATION
    state, effects = step(state, Booted(1))
    assert (state.phase, effects) == (Phase.ROLL_BACK, ())
    state, effects = step(state, Started(1, running()))
    assert isinstance(effects[0], Work)
    state = walk(state, Reverted(1, 2))
    assert state.last_result is not None
    assert (state.last_result.outcome, state.last_result.code) == (Outcome.ROLLED_BACK, "health.crashed")


def test_crashes_in_the_self_test_end_the_assignment() -> None:
    state = walk(IDLE, assigned(2), *GOOD_PATH[:3])
    for _ in range(MAX_STARTS + 1):
        state = walk(state, Booted(1), Started(1, running()))
    assert state.phase is Phase.IDLE
    assert state.last_result is not None
    assert (state.last_result.outcome, state.last_result.code) == (Outcome.FAILED, "selftest.crashed")


def test_a_device_that_went_back_by_itself_is_believed() -> None:
    state = walk(IDLE, assigned(2), *GOOD_PATH[:-1], Booted(1), Started(1, running()), Reverted(1, 2))
    assert state.running is not None
    assert (state.running.version, told(state)[-1]) == ("1.0.0", ("rolled-back", "1.0.0", "health.crashed"))


def test_a_first_version_that_is_bad_leaves_nothing() -> None:
    state = walk(AgentState(), assigned(2), *GOOD_PATH[:-1], Judged(1, 2, "health.outputs"), Reverted(1, 2))
    assert state.running is None
    assert told(state)[-1] == ("rolled-back", "", "health.outputs")


def test_forged_envelopes_are_told_once() -> None:
    forged = EnvelopeRefused(1, "f" * 64, "assignment.bad-signature", "x")
    state = walk(IDLE, forged)
    assert told(state) == [("refused", "", "assignment.bad-signature")]
    assert step(state, forged) == (state, ())
    assert replace(state, outbox=(), event_seq=0, seq=0, refused_envelope="") == IDLE


def test_the_outbox_is_bounded_and_emptied_by_acknowledgements() -> None:
    state = IDLE
    for number in range(MAX_OUTBOX + 10):
        state = walk(state, Noted(1, "board.absent", str(number)))
    assert (len(state.outbox), state.outbox_dropped) == (MAX_OUTBOX, 10)
    state = walk(state, Acked(1, state.event_seq - 1))
    assert [event.seq for event in state.outbox] == [state.event_seq]


def test_an_event_without_a_row_fails_loudly() -> None:
    class Unheard:
        pass

    with pytest.raises(IllegalEvent):
        step(IDLE, Unheard())  # type: ignore[arg-type]


def test_every_phase_can_end() -> None:
    for phase in Phase:
        reached, front = {phase}, [phase]
        while front:
            targets = {t for row in TRANSITIONS[front.pop()].values() for t in row} - reached
            reached |= targets
            front += targets
        assert Phase.IDLE in reached


def test_the_diagram_is_drawn_from_the_table() -> None:
    lines = diagram().splitlines()
    assert "    PROBATION --> ROLL_BACK: Judged" in lines
    assert len(lines) == len(set(lines))


counters = st.integers(0, 6)
versions = st.sampled_from(sorted(VERSIONS))
any_event = st.one_of(
    st.builds(Assigned, st.just(1.0), st.builds(assignment, counters, versions), st.just("")),
    *(st.builds(kind, st.just(1.0), counters) for kind in (Downloaded, Installed, Switched, Committed, Reverted)),
    st.builds(Verified, st.just(1.0), counters, st.integers(0, 3)),
    st.builds(SelfTested, st.just(1.0), counters, st.none()),
    st.builds(Judged, st.just(1.0), counters, st.sampled_from(["", "health.errors"])),
    st.builds(Failed, st.just(1.0), counters, st.just("x"), st.just("y"), st.booleans()),
    st.builds(Connected, st.just(1.0)),
    st.builds(Stopping, st.just(1.0)),
    st.builds(Acked, st.just(1.0), st.integers(0, 30)),
    st.just("reboot"),
)


def _reboot(state: AgentState, data: st.DataObject) -> AgentState:
    """A crash and a start; an honest device runs what the pointer says: the job's slot once a switch was begun."""
    state = walk(state, Booted(1.0))
    choices = [state.running]
    if state.phase is Phase.SWITCH and state.job is not None:
        a = state.job.assignment
        choices.append(running(a.version, state.job.slot))
    if state.phase in (Phase.PROBATION, Phase.CONFIRM, Phase.ROLL_BACK):
        choices.append(state.previous)
    return walk(state, Started(1.0, data.draw(st.sampled_from(choices))))


@settings(max_examples=300, deadline=None)
@given(st.lists(any_event, max_size=60), st.data())
def test_nothing_that_happens_breaks_the_rules(events: list[AgentEvent | str], data: st.DataObject) -> None:
    state = AgentState()
    for event in events:
        before = state
        state = _reboot(state, data) if isinstance(event, str) else step(state, event)[0]  # type: ignore[arg-type]
        assert (state.job is None) == (state.phase is Phase.IDLE)
        assert state.counter >= before.counter
        assert state.security_floor >= before.security_floor
        assert state.seq >= before.seq
        assert [event.seq for event in state.outbox] == sorted({event.seq for event in state.outbox})
        if state.phase is Phase.PROBATION:
            assert state.running is not None
            assert state.job is not None
            assert state.running.slot == state.job.slot
            assert state.previous is None or state.previous.slot != state.running.slot
        if state.phase in (Phase.INSTALL, Phase.SELF_TEST, Phase.SWITCH) and state.running is not None:
            assert state.job is not None
            assert state.job.slot != state.running.slot, "what serves is never overwritten"


@given(events=st.lists(any_event, max_size=20), data=st.data())
@settings(max_examples=50, deadline=None)
def test_any_state_survives_the_journal(
    events: list[AgentEvent | str], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state = AgentState()
    for event in events:
        state = _reboot(state, data) if isinstance(event, str) else step(state, event)[0]  # type: ignore[arg-type]
    journal = Journal(tmp_path_factory.mktemp("journal") / "journal.json")
    assert journal.load() is None
    journal.save(state)
    assert journal.load() == state


def test_kinds_of_events_are_the_messages_own() -> None:
    assert {kind for kind, _, _ in told(walk(IDLE, assigned(2), *GOOD_PATH, Committed(1, 2)))} <= {
        kind.value for kind in EventKind
    }


def test_the_readme_shows_the_table() -> None:
    readme = (Path(__file__).parents[2] / "device_agent" / "README.md").read_text("utf-8")
    assert diagram() in readme
