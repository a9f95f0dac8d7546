"""The engine as a pure function: rules of waves, gates, pause, abort and rollback, for any order of reports."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fleet_server.rollouts import engine
from fleet_server.rollouts.engine import Assign, CompleteWave, Finish, Member, NextWave, Report, Revert, Rollout, Settle
from fleet_server.rollouts.orders import plan_waves
from fleet_server.rollouts.state import (
    ACTIVE,
    MEMBER_TRANSITIONS,
    ROLLOUT_TRANSITIONS,
    IllegalTransition,
    RolloutEvent,
    check_member_step,
    next_status,
)
from flota.api.models import MemberState, RolloutStatus, Wave
from flota.messages import Outcome

NOW = 1_000_000.0


def rollout(**changes: object) -> Rollout:
    base = Rollout(
        status=RolloutStatus.RUNNING,
        wave=0,
        waves=2,
        success_threshold=1.0,
        max_failures=10,
        wave_soak_s=0.0,
        timeout_s=100.0,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def member(name: str, wave: int = 0, **changes: object) -> Member:
    return replace(Member(name, wave), **changes)  # type: ignore[arg-type]


def assigned(name: str, wave: int = 0, outcome: Outcome | None = None, **changes: object) -> Member:
    report = Report(7, outcome, "" if outcome is Outcome.CONFIRMED else "health.errors") if outcome else None
    return member(name, wave, state=MemberState.ASSIGNED, counter=7, assigned_at=NOW, report=report, **changes)


def test_the_first_wave_is_assigned_and_the_second_waits() -> None:
    actions = engine.step(rollout(), [member("a"), member("b", 1)], NOW)
    assert actions == (Assign("a"),)


def test_a_report_for_another_counter_settles_nothing() -> None:
    old = replace(assigned("a"), report=Report(6, Outcome.CONFIRMED))
    assert engine.step(rollout(), [old], NOW) == ()


def test_a_later_counter_means_the_device_took_something_else() -> None:
    newer = replace(assigned("a"), report=Report(8, Outcome.CONFIRMED))
    (action,) = engine.step(rollout(), [newer], NOW)
    assert isinstance(action, Settle)
    assert action.code == engine.SUPERSEDED_CODE


@pytest.mark.parametrize("outcome", list(Outcome))
def test_reports_settle(outcome: Outcome) -> None:
    (action,) = engine.step(rollout(), [assigned("a", outcome=outcome)], NOW)
    assert isinstance(action, Settle)
    assert (action.state is MemberState.SUCCEEDED) == (outcome is Outcome.CONFIRMED)


def test_silence_is_a_failure_after_the_timeout_only() -> None:
    assert engine.step(rollout(), [assigned("a")], NOW + 99.9) == ()
    (action,) = engine.step(rollout(), [assigned("a")], NOW + 100.0)
    assert action == Settle("a", MemberState.FAILED, engine.TIMEOUT_CODE, "no report within 100 s")


def test_soaking_delays_the_next_wave() -> None:
    done = [member("a", state=MemberState.SUCCEEDED), member("b", 1)]
    assert engine.step(rollout(wave_soak_s=5.0), done, NOW) == (CompleteWave(),)
    soaking = rollout(wave_soak_s=5.0, wave_completed_at=NOW)
    assert engine.step(soaking, done, NOW + 4.9) == ()
    assert engine.step(soaking, done, NOW + 5.0) == (NextWave(1),)


def test_a_gate_fails_as_soon_as_it_is_out_of_reach() -> None:
    wave = [member("a", state=MemberState.FAILED, code="x.y"), assigned("b"), assigned("c"), assigned("d")]
    assert engine.step(rollout(success_threshold=0.75), wave, NOW) == ()
    (finish,) = engine.step(rollout(success_threshold=0.76), wave, NOW)
    assert isinstance(finish, Finish)
    assert finish.event is RolloutEvent.FAIL
    assert "x.y" in finish.reason
    (finish,) = engine.step(rollout(success_threshold=0.5, max_failures=0), wave, NOW)
    assert isinstance(finish, Finish)


def test_a_paused_rollout_still_fails() -> None:
    wave = [member("a", state=MemberState.FAILED)]
    (finish,) = engine.step(rollout(status=RolloutStatus.PAUSED), wave, NOW)
    assert isinstance(finish, Finish)
    assert engine.step(rollout(status=RolloutStatus.PAUSED), [member("a")], NOW) == ()


def test_a_failed_rollout_takes_back_what_it_moved_and_nothing_else() -> None:
    members = [
        member("done", state=MemberState.SUCCEEDED),
        member("first-ever", state=MemberState.SUCCEEDED, has_previous=False),
        member("bad", state=MemberState.FAILED),
        assigned("moving"),
        member("back", state=MemberState.REVERTED),
        member("out", state=MemberState.SKIPPED),
    ]
    actions = engine.step(rollout(status=RolloutStatus.FAILED), members, NOW)
    kept = Settle("first-ever", MemberState.KEPT, detail="it ran nothing before")
    assert actions == (Revert("done"), kept, Revert("bad"), Revert("moving"))


def test_an_abort_without_rollback_lets_devices_finish() -> None:
    aborted = rollout(status=RolloutStatus.ABORTED, rollback=False)
    members = [assigned("a"), member("b", state=MemberState.SUCCEEDED)]
    assert engine.step(aborted, members, NOW) == ()
    assert not engine.is_settled(aborted, members)
    (action,) = engine.step(aborted, [assigned("a", outcome=Outcome.CONFIRMED)], NOW)
    assert action == Settle("a", MemberState.SUCCEEDED)


def test_revoked_devices_do_not_count() -> None:
    (action,) = engine.step(rollout(), [assigned("a", revoked=True)], NOW)
    assert action == Settle("a", MemberState.SKIPPED, engine.REVOKED_CODE)
    assert engine.step(rollout(), [member("a", state=MemberState.SKIPPED)], NOW) == (CompleteWave(),)


@pytest.mark.parametrize(
    ("devices", "waves", "sizes"),
    [
        (4, [Wave(size=1), Wave(percent=100)], [1, 3]),
        (10, [Wave(percent=10), Wave(percent=50)], [1, 5, 4]),
        (3, [Wave(percent=1)], [1, 2]),
        (1, [Wave(size=5), Wave(size=1)], [1]),
        (3, [Wave(size=3), Wave(percent=50)], [3]),
    ],
)
def test_waves(devices: int, waves: list[Wave], sizes: list[int]) -> None:
    assert plan_waves(devices, waves) == sizes


def test_every_event_without_a_row_fails_loudly() -> None:
    for status in RolloutStatus:
        for event in RolloutEvent:
            if (status, event) not in ROLLOUT_TRANSITIONS:
                with pytest.raises(IllegalTransition):
                    next_status(status, event)
    for before in MemberState:
        for after in MemberState:
            if after not in MEMBER_TRANSITIONS[before]:
                with pytest.raises(IllegalTransition):
                    check_member_step(before, after)


class Fleet(RuleBasedStateMachine):
    """A rollout in memory, driven by any order of ticks, reports, clock jumps and operators."""

    @initialize(
        sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3),
        threshold=st.sampled_from([0.4, 0.5, 0.75, 1.0]),
        max_failures=st.integers(0, 4),
        soak=st.sampled_from([0.0, 10.0]),
    )
    def create(self, sizes: list[int], threshold: float, max_failures: int, soak: float) -> None:
        self.now = NOW
        self.rollout = rollout(
            waves=len(sizes), success_threshold=threshold, max_failures=max_failures, wave_soak_s=soak
        )
        names = [(f"d{wave}{i}", wave) for wave, size in enumerate(sizes) for i in range(size)]
        self.members = {name: member(name, wave, has_previous=i % 3 != 2) for i, (name, wave) in enumerate(names)}
        self.counters = dict.fromkeys(self.members, 0)
        self.passed: set[int] = set()
        self.assigned_ever: set[str] = set()

    def _apply(self, action: engine.Action) -> None:
        if isinstance(action, Settle):
            self._enter(action.device, action.state)
        elif isinstance(action, Assign):
            assert self.rollout.status is RolloutStatus.RUNNING
            assert all(wave in self.passed for wave in range(self.members[action.device].wave))
            self._enter(action.device, MemberState.ASSIGNED, counter=self._count(action.device), assigned_at=self.now)
            self.assigned_ever.add(action.device)
        elif isinstance(action, Revert):
            self._enter(action.device, MemberState.REVERTING, revert_counter=self._count(action.device))
        elif isinstance(action, CompleteWave):
            self.rollout = replace(self.rollout, wave_completed_at=self.now)
        elif isinstance(action, NextWave):
            gate = engine.gate(list(self.members.values()), self.rollout.wave)
            assert gate.pending == 0
            assert gate.rate >= self.rollout.success_threshold
            self.passed.add(self.rollout.wave)
            self.rollout = replace(self.rollout, wave=action.wave, wave_completed_at=None)
        else:
            self.rollout = replace(self.rollout, status=next_status(self.rollout.status, action.event))

    def _enter(self, name: str, state: MemberState, **changes: object) -> None:
        check_member_step(self.members[name].state, state)
        self.members[name] = replace(self.members[name], state=state, **changes)  # type: ignore[arg-type]

    def _count(self, name: str) -> int:
        self.counters[name] += 1
        return self.counters[name]

    @rule()
    def tick(self) -> None:
        for _ in range(100):
            before = list(self.members.values())
            actions = engine.step(self.rollout, before, self.now)
            assert actions == engine.step(self.rollout, before, self.now)
            if not actions:
                return
            for action in actions:
                self._apply(action)
        raise AssertionError("the engine does not come to rest")

    @rule(data=st.data(), outcome=st.sampled_from(list(Outcome)), stale=st.booleans())
    def report(self, data: st.DataObject, outcome: Outcome, stale: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.members)))
        counter = self.counters[name] - (1 if stale else 0)
        if counter > 0:
            self.members[name] = replace(self.members[name], report=Report(counter, outcome))

    @rule(seconds=st.sampled_from([1.0, 10.0, 101.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.rollout.status is RolloutStatus.RUNNING)
    @rule()
    def pause(self) -> None:
        self.rollout = replace(self.rollout, status=RolloutStatus.PAUSED)

    @precondition(lambda self: self.rollout.status is RolloutStatus.PAUSED)
    @rule()
    def resume(self) -> None:
        self.rollout = replace(self.rollout, status=RolloutStatus.RUNNING)

    @precondition(lambda self: self.rollout.status in ACTIVE)
    @rule(rollback=st.booleans())
    def abort(self, rollback: bool) -> None:
        self.rollout = replace(self.rollout, status=RolloutStatus.ABORTED, rollback=rollback)

    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.members)))
        self.members[name] = replace(self.members[name], revoked=True)

    @invariant()
    def the_end_is_sound(self) -> None:
        if not hasattr(self, "rollout") or self.rollout.status in ACTIVE:
            return
        if engine.step(self.rollout, list(self.members.values()), self.now):
            return  # not yet at rest
        states = {m.state for m in self.members.values()}
        if self.rollout.status is RolloutStatus.SUCCEEDED:
            assert states <= {MemberState.SUCCEEDED, MemberState.FAILED, MemberState.SKIPPED}
        elif self.rollout.rollback:
            assert states <= {
                MemberState.SKIPPED,
                MemberState.REVERTING,
                MemberState.REVERTED,
                MemberState.REVERT_FAILED,
                MemberState.KEPT,
            }

    @invariant()
    def nobody_is_ahead_of_the_waves(self) -> None:
        if hasattr(self, "rollout"):
            assert all(self.members[name].wave <= self.rollout.wave for name in self.assigned_ever)


Fleet.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestFleet = Fleet.TestCase
