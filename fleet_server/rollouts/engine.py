"""The rollout engine: a pure function from (rollout, devices, now) to actions.

No clock, database or network: :mod:`fleet_server.rollouts.store` loads the facts, carries the actions out in the same
transaction, and calls again until nothing is left to do. The rules:

1. A wave is assigned only while the rollout runs and every wave before it passed.
2. A device settles by what it reports for the counter it was assigned with, or by silence for ``timeout_s``.
3. A wave passes when all its devices settled, enough of them succeeded, and it soaked.
4. A gate that cannot be met any more fails the rollout at once, paused or not.
5. A rollout that failed, or was aborted with rollback, takes every device it moved back to what that ran before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fleet_server.rollouts.state import ACTIVE, MOVED, RolloutEvent
from flota.api.models import MemberState, RolloutStatus
from flota.messages import Outcome

TIMEOUT_CODE = "rollout.timeout"
SUPERSEDED_CODE = "rollout.superseded"
REVOKED_CODE = "device.revoked"

_DONE = frozenset({MemberState.SUCCEEDED, MemberState.FAILED, MemberState.SKIPPED})


@dataclass(frozen=True, slots=True)
class Report:
    """How a device's latest assignment ended, as it reports it."""

    counter: int
    outcome: Outcome
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A device in the rollout. Counters are 0 while there is none."""

    device: str
    wave: int
    state: MemberState = MemberState.WAITING
    counter: int = 0
    revert_counter: int = 0
    has_previous: bool = True
    assigned_at: float | None = None
    report: Report | None = None
    revoked: bool = False
    code: str = ""


@dataclass(frozen=True, slots=True)
class Rollout:
    """What the engine needs of a rollout. ``wave_completed_at`` is when the last device of the wave settled."""

    status: RolloutStatus
    wave: int
    waves: int
    success_threshold: float
    max_failures: int
    wave_soak_s: float
    timeout_s: float
    rollback: bool = True
    wave_completed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Settle:
    """The device reached this state; ``code`` and ``detail`` say why."""

    device: str
    state: MemberState
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Assign:
    """Assign the rollout's release to the device."""

    device: str


@dataclass(frozen=True, slots=True)
class Revert:
    """Assign to the device what it ran before."""

    device: str


@dataclass(frozen=True, slots=True)
class CompleteWave:
    """The wave met its gate; its soak time starts."""


@dataclass(frozen=True, slots=True)
class NextWave:
    """Go on to this wave."""

    wave: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The rollout is over."""

    event: RolloutEvent
    reason: str = ""


Action = Settle | Assign | Revert | CompleteWave | NextWave | Finish


@dataclass(frozen=True, slots=True)
class Gate:
    """The values of a wave's gate. ``rate`` and ``best_rate`` are shares of ``size``; an empty wave has passed."""

    size: int
    succeeded: int
    failed: int

    @property
    def pending(self) -> int:
        """Devices that have not settled."""
        return self.size - self.succeeded - self.failed

    @property
    def rate(self) -> float:
        """Share that succeeded."""
        return self.succeeded / self.size if self.size else 1.0

    @property
    def best_rate(self) -> float:
        """Share that can still succeed or did."""
        return (self.size - self.failed) / self.size if self.size else 1.0


def gate(members: Sequence[Member], wave: int) -> Gate:
    """The gate values of one wave; skipped devices do not count."""
    states = [member.state for member in members if member.wave == wave and member.state is not MemberState.SKIPPED]
    return Gate(len(states), states.count(MemberState.SUCCEEDED), states.count(MemberState.FAILED))


def step(rollout: Rollout, members: Sequence[Member], now: float) -> tuple[Action, ...]:
    """What is to be done now. Doing it and asking again gives the next actions; in the end there are none."""
    settled = tuple(action for member in members if (action := _settle(member, rollout, now)))
    if settled:
        return settled
    if rollout.status in ACTIVE:
        return _advance(rollout, members, now)
    return tuple(_take_back(rollout, members))


def is_settled(rollout: Rollout, members: Sequence[Member]) -> bool:
    """Whether the rollout is over and no device is still on its way."""
    waiting = (MemberState.ASSIGNED, MemberState.REVERTING)
    return rollout.status not in ACTIVE and all(member.state not in waiting for member in members)


def _settle(member: Member, rollout: Rollout, now: float) -> Settle | None:
    if member.state is MemberState.WAITING:
        return _settle_waiting(member, rollout)
    if member.state is MemberState.ASSIGNED:
        return _settle_assigned(member, rollout, now)
    if member.state is MemberState.REVERTING:
        return _settle_reverting(member)
    return None


def _settle_waiting(member: Member, rollout: Rollout) -> Settle | None:
    if member.revoked:
        return Settle(member.device, MemberState.SKIPPED, REVOKED_CODE)
    if rollout.status not in ACTIVE:
        return Settle(member.device, MemberState.SKIPPED)
    return None


def _settle_assigned(member: Member, rollout: Rollout, now: float) -> Settle | None:
    if member.revoked:
        return Settle(member.device, MemberState.SKIPPED, REVOKED_CODE)
    report = member.report
    if report and report.counter == member.counter:
        succeeded = report.outcome is Outcome.CONFIRMED
        state = MemberState.SUCCEEDED if succeeded else MemberState.FAILED
        return Settle(member.device, state, report.code, report.detail)
    if report and report.counter > member.counter:
        return Settle(member.device, MemberState.FAILED, SUPERSEDED_CODE, "the device took another assignment")
    if member.assigned_at is not None and now - member.assigned_at >= rollout.timeout_s:
        return Settle(member.device, MemberState.FAILED, TIMEOUT_CODE, f"no report within {rollout.timeout_s:g} s")
    return None


def _settle_reverting(member: Member) -> Settle | None:
    if member.revoked:
        return Settle(member.device, MemberState.SKIPPED, REVOKED_CODE)
    report = member.report
    if report is None or report.counter < member.revert_counter:
        return None
    if report.counter > member.revert_counter:
        return Settle(member.device, MemberState.REVERT_FAILED, SUPERSEDED_CODE, "the device took another assignment")
    back = report.outcome is Outcome.CONFIRMED
    return Settle(
        member.device, MemberState.REVERTED if back else MemberState.REVERT_FAILED, report.code, report.detail
    )


def _advance(rollout: Rollout, members: Sequence[Member], now: float) -> tuple[Action, ...]:
    failure = _failure(rollout, members)
    if failure:
        return (Finish(RolloutEvent.FAIL, failure),)
    wave = [member for member in members if member.wave == rollout.wave]
    if all(member.state in _DONE for member in wave):
        return _pass_wave(rollout, now)
    if rollout.status is not RolloutStatus.RUNNING:
        return ()
    return tuple(Assign(member.device) for member in wave if member.state is MemberState.WAITING)


def _failure(rollout: Rollout, members: Sequence[Member]) -> str:
    """Why no gate can be met any more; empty while one can."""
    failed = [member for member in members if member.state is MemberState.FAILED]
    codes = ", ".join(sorted({member.code for member in failed if member.code}))
    because = f" ({codes})" if codes else ""
    values = gate(members, rollout.wave)
    if len(failed) > rollout.max_failures:
        return f"{len(failed)} devices failed, {rollout.max_failures} allowed{because}"
    if values.best_rate < rollout.success_threshold:
        return (
            f"wave {rollout.wave + 1}: {values.failed} of {values.size} devices failed, "
            f"success rate {rollout.success_threshold:.0%} is out of reach{because}"
        )
    return ""


def _pass_wave(rollout: Rollout, now: float) -> tuple[Action, ...]:
    if rollout.wave_completed_at is None:
        return (CompleteWave(),)
    if rollout.status is not RolloutStatus.RUNNING or now < rollout.wave_completed_at + rollout.wave_soak_s:
        return ()
    if rollout.wave + 1 == rollout.waves:
        return (Finish(RolloutEvent.SUCCEED, "every wave passed"),)
    return (NextWave(rollout.wave + 1),)


def _take_back(rollout: Rollout, members: Sequence[Member]) -> list[Action]:
    if rollout.status is RolloutStatus.SUCCEEDED or not rollout.rollback:
        return []
    moved = [member for member in members if member.state in MOVED]
    return [
        Revert(member.device)
        if member.has_previous
        else Settle(member.device, MemberState.KEPT, detail="it ran nothing before")
        for member in moved
    ]
