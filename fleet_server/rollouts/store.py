"""Between the database and the engine: it loads the facts, carries the actions out, and asks again.

Everything one :func:`advance` does is one transaction of the caller's. What must leave the server (assignments) is left
in the database as unpublished rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session, col, select

from fleet_server import audit
from fleet_server.assignments import Director, Order, Reason, desired
from fleet_server.models import DeviceRow, MemberRow, RolloutRow
from fleet_server.rollouts.engine import (
    Action,
    Assign,
    CompleteWave,
    Finish,
    Member,
    NextWave,
    Report,
    Revert,
    Rollout,
    Settle,
    step,
)
from fleet_server.rollouts.state import ACTIVE, UNSETTLED, check_member_step, next_status
from flota.api.models import MemberState, RolloutStatus
from flota.messages import HealthLimits, ReportedState

_MAX_STEPS = 10_000


def unfinished(session: Session) -> list[int]:
    """Rollouts the engine must look at: active ones, and finished ones with devices still on their way."""
    active = select(col(RolloutRow.id)).where(col(RolloutRow.status).in_([status.value for status in ACTIVE]))
    moving = select(col(MemberRow.rollout_id)).where(col(MemberRow.state).in_([state.value for state in UNSETTLED]))
    return sorted({int(identity) for identity in [*session.exec(active), *session.exec(moving)] if identity})


def advance(session: Session, identity: int, director: Director, now: float) -> bool:
    """Let the engine step until it has nothing left to do; returns whether anything was done."""
    rollout = session.get_one(RolloutRow, identity)
    rows = members_of(session, identity)
    devices = devices_of(session, rows)
    for done in range(_MAX_STEPS):
        facts = [_member(row, devices[row.device]) for row in rows]
        actions = step(load(rollout), facts, now)
        if not actions:
            return done > 0
        _Writer(session, rollout, rows, devices, director, now).carry_out(actions)
    raise AssertionError(f"rollout {identity} does not come to rest")


def load(row: RolloutRow) -> Rollout:
    """The engine's view of a rollout."""
    return Rollout(
        status=RolloutStatus(row.status),
        wave=row.wave,
        waves=row.waves,
        success_threshold=row.success_threshold,
        max_failures=row.max_failures,
        wave_soak_s=row.wave_soak_s,
        timeout_s=row.timeout_s,
        rollback=row.rollback,
        wave_completed_at=row.wave_completed_at,
    )


def load_members(rows: Sequence[MemberRow], devices: dict[str, DeviceRow]) -> list[Member]:
    """The engine's view of the devices."""
    return [_member(row, devices[row.device]) for row in rows]


def members_of(session: Session, identity: int) -> list[MemberRow]:
    """The devices of a rollout, in order."""
    query = select(MemberRow).where(col(MemberRow.rollout_id) == identity).order_by(col(MemberRow.position))
    return list(session.exec(query))


def devices_of(session: Session, rows: Sequence[MemberRow]) -> dict[str, DeviceRow]:
    """The devices of these members, by name."""
    names = [row.device for row in rows]
    return {row.name: row for row in session.exec(select(DeviceRow).where(col(DeviceRow.name).in_(names)))}


def reported(device: DeviceRow) -> ReportedState | None:
    """The last state a device reported."""
    return ReportedState.model_validate_json(device.state_json) if device.state_json else None


def _member(row: MemberRow, device: DeviceRow) -> Member:
    state = reported(device)
    result = state.last_result if state else None
    report = Report(result.counter, result.outcome, result.code, result.detail) if result else None
    return Member(
        device=row.device,
        wave=row.wave,
        state=MemberState(row.state),
        counter=row.counter,
        revert_counter=row.revert_counter,
        has_previous=bool(row.previous_path),
        assigned_at=row.assigned_at,
        report=report,
        revoked=device.revoked_at is not None,
        code=row.code,
    )


class _Writer:
    """Carries actions out on the rows of one rollout."""

    def __init__(
        self,
        session: Session,
        rollout: RolloutRow,
        rows: Sequence[MemberRow],
        devices: dict[str, DeviceRow],
        director: Director,
        now: float,
    ) -> None:
        self._session = session
        self._rollout = rollout
        self._rows = {row.device: row for row in rows}
        self._devices = devices
        self._director = director
        self._now = now

    def carry_out(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Settle):
                self._settle(action)
            elif isinstance(action, Assign):
                self._assign(action.device)
            elif isinstance(action, Revert):
                self._revert(action.device)
            elif isinstance(action, CompleteWave):
                self._rollout.wave_completed_at = self._now
            elif isinstance(action, NextWave):
                self._next_wave(action.wave)
            else:
                self._finish(action)
        self._session.add(self._rollout)
        self._session.flush()

    def _enter(self, device: str, state: MemberState) -> MemberRow:
        row = self._rows[device]
        check_member_step(MemberState(row.state), state)
        row.state = state.value
        self._session.add(row)
        return row

    def _settle(self, action: Settle) -> None:
        row = self._enter(action.device, action.state)
        row.finished_at = self._now
        if action.code or action.state in (MemberState.FAILED, MemberState.REVERT_FAILED):
            row.code, row.detail = action.code, action.detail
        elif action.detail:
            row.detail = action.detail
        if action.state in (MemberState.FAILED, MemberState.REVERT_FAILED):
            self._audit(f"rollout.{action.state.value}", {"device": action.device, "code": action.code})

    def _assign(self, device: str) -> None:
        row = self._enter(device, MemberState.ASSIGNED)
        self._remember_previous(row)
        assignment = self._director.assign(
            self._session, self._devices[device], self._director.bundle(row.path), self._order("rollout")
        )
        row.counter, row.assigned_at = assignment.counter, self._now
        self._audit("rollout.assign", {"device": device, "counter": assignment.counter, "version": assignment.version})

    def _remember_previous(self, row: MemberRow) -> None:
        """What the device runs now, if it is something we published and can assign again.

        A device that is on its way back from a version runs what it must not go back to.
        """
        state = reported(self._devices[row.device])
        bundle = self._director.bundle_of_digest(state.running.sha256) if state and state.running else None
        order = desired(self._session, row.device)
        answered = state.last_result.counter if state and state.last_result else 0
        if order is not None and order.reason == "rollback" and answered < order.counter:
            bundle = self._director.bundle_of_digest(order.sha256)
        if bundle and bundle.custom:
            row.previous_model, row.previous_version = bundle.custom.model, bundle.custom.version
            row.previous_path = bundle.path

    def _revert(self, device: str) -> None:
        row = self._enter(device, MemberState.REVERTING)
        assignment = self._director.assign(
            self._session, self._devices[device], self._director.bundle(row.previous_path), self._order("rollback")
        )
        row.revert_counter, row.finished_at = assignment.counter, None
        self._audit("rollout.revert", {"device": device, "counter": assignment.counter, "version": assignment.version})

    def _order(self, reason: Reason) -> Order:
        """On the way back latency is not judged: the version that is taken back must not set the measure."""
        limits = HealthLimits.model_validate_json(self._rollout.limits_json)
        if reason == "rollback":
            limits = limits.model_copy(update={"max_latency_ms": None, "max_latency_ratio": None})
        return Order(
            reason=reason,
            probation_s=self._rollout.probation_s,
            limits=limits,
            rollout_id=self._rollout.id,
        )

    def _next_wave(self, wave: int) -> None:
        self._rollout.wave, self._rollout.wave_completed_at = wave, None
        self._audit("rollout.wave", {"wave": wave + 1})

    def _finish(self, action: Finish) -> None:
        self._rollout.status = next_status(RolloutStatus(self._rollout.status), action.event).value
        self._rollout.reason, self._rollout.finished_at = action.reason, self._now
        self._audit(f"rollout.{self._rollout.status}", {"reason": action.reason})

    def _audit(self, action: str, detail: dict[str, object]) -> None:
        audit.record(self._session, audit.SERVER, action, f"rollout {self._rollout.id}", detail)
