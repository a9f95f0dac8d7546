"""The states of a rollout and of a device in it, as tables. An event with no row is a bug and fails loudly.

Rollout::

    running ⇄ paused        an operator pauses and resumes
    running → succeeded     the last wave passed its gate
    running, paused → failed    a gate cannot be met any more
    running, paused → aborted   an operator ends it

Device in a rollout::

    waiting → assigned → succeeded | failed
    waiting → skipped                       the rollout ended first, or the device was revoked
    assigned, succeeded, failed → reverting → reverted | revert-failed    the rollout is taken back
    assigned, succeeded, failed → kept      it ran nothing before, so there is nothing to go back to
"""

from __future__ import annotations

from enum import Enum

from flota.api.models import MemberState, RolloutStatus


class RolloutEvent(str, Enum):
    """What happens to a rollout."""

    PAUSE = "pause"
    RESUME = "resume"
    SUCCEED = "succeed"
    FAIL = "fail"
    ABORT = "abort"


_R, _E, _M = RolloutStatus, RolloutEvent, MemberState

ROLLOUT_TRANSITIONS: dict[tuple[RolloutStatus, RolloutEvent], RolloutStatus] = {
    (_R.RUNNING, _E.PAUSE): _R.PAUSED,
    (_R.PAUSED, _E.RESUME): _R.RUNNING,
    (_R.RUNNING, _E.SUCCEED): _R.SUCCEEDED,
    (_R.RUNNING, _E.FAIL): _R.FAILED,
    (_R.PAUSED, _E.FAIL): _R.FAILED,
    (_R.RUNNING, _E.ABORT): _R.ABORTED,
    (_R.PAUSED, _E.ABORT): _R.ABORTED,
}

MEMBER_TRANSITIONS: dict[MemberState, frozenset[MemberState]] = {
    _M.WAITING: frozenset({_M.ASSIGNED, _M.SKIPPED}),
    _M.ASSIGNED: frozenset({_M.SUCCEEDED, _M.FAILED, _M.SKIPPED, _M.REVERTING, _M.KEPT}),
    _M.SUCCEEDED: frozenset({_M.REVERTING, _M.KEPT, _M.SKIPPED}),
    _M.FAILED: frozenset({_M.REVERTING, _M.KEPT, _M.SKIPPED}),
    _M.SKIPPED: frozenset(),
    _M.REVERTING: frozenset({_M.REVERTED, _M.REVERT_FAILED, _M.SKIPPED}),
    _M.REVERTED: frozenset(),
    _M.KEPT: frozenset(),
    _M.REVERT_FAILED: frozenset(),
}

ACTIVE = frozenset({_R.RUNNING, _R.PAUSED})
"""Rollouts whose devices may not be in another one."""

MOVED = frozenset({_M.ASSIGNED, _M.SUCCEEDED, _M.FAILED})
"""Devices that a rollout which is taken back must take back."""

UNSETTLED = frozenset({_M.ASSIGNED, _M.REVERTING})
"""Devices of which a report is still expected."""


class IllegalTransition(Exception):
    """A bug: the tables above do not allow this step."""


def next_status(status: RolloutStatus, event: RolloutEvent) -> RolloutStatus:
    """The status after ``event``.

    Raises:
        IllegalTransition: There is none.
    """
    try:
        return ROLLOUT_TRANSITIONS[status, event]
    except KeyError as error:
        raise IllegalTransition(f"a {status.value} rollout cannot {event.value}") from error


def check_member_step(before: MemberState, after: MemberState) -> None:
    """Check a step of a device.

    Raises:
        IllegalTransition: It is not in the table.
    """
    if after not in MEMBER_TRANSITIONS[before]:
        raise IllegalTransition(f"a {before.value} device cannot become {after.value}")
