"""Read-only answers from the tables: devices, history, groups, rollouts, telemetry, events. One query set for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import func
from sqlmodel import Session, col, select

from fleet_server.assignments import desired, desired_of_all
from fleet_server.errors import NotFound
from fleet_server.models import AssignmentRow, DeviceRow, EventRow, GroupRow, MemberRow, RolloutRow, TelemetryRow
from fleet_server.rollouts import store
from fleet_server.rollouts.engine import Gate, Member, gate, is_settled
from fleet_server.rollouts.state import ACTIVE
from flota.api.models import (
    BundleView,
    DeviceDetail,
    DeviceView,
    EventView,
    GroupView,
    MemberState,
    MemberView,
    Ran,
    ReleaseView,
    RolloutStatus,
    RolloutSummary,
    RolloutView,
    TelemetryView,
    WaveStatus,
    WaveView,
)
from flota.bundle import parse_version
from flota.messages import DeviceKind, EventKind, HealthLimits
from flota.trust.metadata import TargetInfo
from flota.trust.online import OnlineRepository

# ---- devices


def list_devices(session: Session) -> list[DeviceView]:
    """Every device, by name."""
    wanted = desired_of_all(session)
    rows = session.exec(select(DeviceRow).order_by(col(DeviceRow.name)))
    return [_device(row, wanted.get(row.name)) for row in rows]


def device_view(session: Session, name: str) -> DeviceDetail:
    """One device with what it reported.

    Raises:
        NotFound: There is none of this name.
    """
    row = device_row(session, name)
    view = _device(row, desired(session, name))
    return DeviceDetail(**dict(view), reported=store.reported(row))


def device_row(session: Session, name: str) -> DeviceRow:
    """The row of a device.

    Raises:
        NotFound: There is none of this name.
    """
    row = session.get(DeviceRow, name)
    if row is None:
        raise NotFound(f"there is no device {name}", hint="`flota device list` shows the devices")
    return row


def device_history(session: Session, name: str) -> list[Ran]:
    """What really ran on a device, in order: each switch and roll-back it reported; nothing is listed twice in a row.

    A roll-back is one whatever it was assigned for. The reason of a switch is that of its assignment; a version that
    no assignment of ours brought was there from the factory.

    Raises:
        NotFound: There is no such device.
    """
    device_row(session, name)
    kinds = [EventKind.SWITCHED.value, EventKind.ROLLED_BACK.value]
    events = session.exec(
        select(EventRow).where(col(EventRow.device) == name, col(EventRow.kind).in_(kinds)).order_by(col(EventRow.seq))
    )
    orders = {row.counter: row for row in session.exec(select(AssignmentRow).where(col(AssignmentRow.device) == name))}
    history: list[Ran] = []
    for event in events:
        ran = _ran(event, orders.get(event.counter), history)
        if event.version and (not history or (history[-1].version, history[-1].model) != (ran.version, ran.model)):
            history.append(ran)
    return history


def list_groups(session: Session) -> list[GroupView]:
    """Every group, by name, with its devices that are not revoked."""
    members: dict[str, list[str]] = {}
    for row in session.exec(select(DeviceRow).where(col(DeviceRow.revoked_at).is_(None)).order_by(col(DeviceRow.name))):
        members.setdefault(row.group_name, []).append(row.name)
    groups = session.exec(select(GroupRow).order_by(col(GroupRow.name)))
    return [
        GroupView(name=row.name, description=row.description, devices=tuple(members.get(row.name, ())))
        for row in groups
    ]


def _device(row: DeviceRow, wanted: AssignmentRow | None) -> DeviceView:
    state = store.reported(row)
    running = state.running if state else None
    result = state.last_result if state else None
    status: Literal["registered", "enrolled", "revoked"] = "enrolled" if row.enrolled_at is not None else "registered"
    return DeviceView(
        name=row.name,
        kind=DeviceKind(row.kind),
        target=row.target,
        board=row.board,
        group=row.group_name,
        status="revoked" if row.revoked_at is not None else status,
        online=row.online,
        last_seen_at=row.last_seen_at,
        phase=state.phase.value if state else "",
        running_model=running.model if running else "",
        running_version=running.version if running else "",
        running_since=running.since if running else None,
        desired_model=wanted.model if wanted else "",
        desired_version=wanted.version if wanted else "",
        desired_counter=wanted.counter if wanted else 0,
        last_outcome=result.outcome if result else None,
        last_code=result.code if result else "",
        created_at=row.created_at,
    )


def _ran(event: EventRow, order: AssignmentRow | None, before: Sequence[Ran]) -> Ran:
    model = order.model if order else (before[-1].model if before else "")
    if event.kind == EventKind.ROLLED_BACK.value:
        return Ran(version=event.version, model=model, reason="rollback", at=event.at)
    reason: Literal["rollout", "rollback", "manual", "factory"] = "factory"
    if order is not None:
        reason = "rollback" if order.reason == "rollback" else "manual" if order.reason == "manual" else "rollout"
    return Ran(version=event.version, model=model, reason=reason, at=event.at)


# ---- releases


def list_releases(repository: OnlineRepository) -> list[ReleaseView]:
    """Every published release, by model and version."""
    found: dict[tuple[str, str], list[TargetInfo]] = {}
    for info in repository.targets():
        if info.custom:
            found.setdefault((info.custom.model, info.custom.version), []).append(info)
    order = sorted(found, key=lambda name: (name[0], parse_version(name[1])))
    return [_release(name, found[name]) for name in order]


def release_view(repository: OnlineRepository, model: str, version: str) -> ReleaseView:
    """One published release.

    Raises:
        NotFound: There is none.
    """
    for release in list_releases(repository):
        if (release.model, release.version) == (model, version):
            return release
    raise NotFound(f"there is no release {model} {version}", hint="publish it first: flota release publish")


def _release(name: tuple[str, str], bundles: Sequence[TargetInfo]) -> ReleaseView:
    floor = max(info.custom.security_floor for info in bundles if info.custom)
    views = [
        BundleView(target=info.custom.target, path=info.path, sha256=info.sha256, size=info.size)
        for info in bundles
        if info.custom
    ]
    return ReleaseView(model=name[0], version=name[1], security_floor=floor, bundles=tuple(views))


# ---- rollouts


def list_rollouts(session: Session, limit: int = 200) -> list[RolloutSummary]:
    """Rollouts, the newest first; two queries, however many there are."""
    rows = list(session.exec(select(RolloutRow).order_by(col(RolloutRow.id).desc()).limit(limit)))
    tallies: dict[int, _Tally] = {}
    has_code = col(MemberRow.code) != ""
    groups = (col(MemberRow.rollout_id), col(MemberRow.state), has_code)
    query = select(*groups, func.count()).where(groups[0].in_([row.id for row in rows])).group_by(*groups)
    for identity, state, coded, count in session.exec(query):
        tallies[identity] = tallies.get(identity, _Tally()) + _tally(state, bool(coded), count)
    return [_summary(row, tallies.get(row.id or 0, _Tally())) for row in rows]


def rollout_view(session: Session, identity: int) -> RolloutView:
    """One rollout with its waves, gate values and devices.

    Raises:
        NotFound: There is none with this id.
    """
    row = session.get(RolloutRow, identity)
    if row is None:
        raise NotFound(f"there is no rollout {identity}", hint="`flota rollout list` shows the rollouts")
    rows = store.members_of(session, identity)
    devices = store.devices_of(session, rows)
    members = store.load_members(rows, devices)
    return RolloutView(
        **dict(_summary(row, _tally_of(rows))),
        failures=_failures(rows),
        max_failures=row.max_failures,
        success_threshold=row.success_threshold,
        probation_s=row.probation_s,
        wave_soak_s=row.wave_soak_s,
        timeout_s=row.timeout_s,
        limits=HealthLimits.model_validate_json(row.limits_json),
        wave_views=tuple(_wave(row, members, rows, index) for index in range(row.waves)),
        members=tuple(_member(member, devices[member.device]) for member in rows),
        settled=is_settled(store.load(row), members),
    )


_GONE_BACK = (MemberState.REVERTING.value, MemberState.REVERTED.value, MemberState.REVERT_FAILED.value)


@dataclass(frozen=True, slots=True)
class _Tally:
    """How many devices a rollout has, and how many of them are through, well or badly."""

    devices: int = 0
    succeeded: int = 0
    failed: int = 0

    def __add__(self, other: _Tally) -> _Tally:
        return _Tally(self.devices + other.devices, self.succeeded + other.succeeded, self.failed + other.failed)


def _tally(state: str, has_code: bool, count: int) -> _Tally:
    """Of ``count`` devices in this state. A device that failed keeps its code, also while it goes back."""
    failed = state == MemberState.FAILED.value or (has_code and state in (*_GONE_BACK, MemberState.KEPT.value))
    return _Tally(count, count if state == MemberState.SUCCEEDED.value else 0, count if failed else 0)


def _tally_of(rows: Sequence[MemberRow]) -> _Tally:
    return sum((_tally(row.state, bool(row.code), 1) for row in rows), _Tally())


def _failures(rows: Sequence[MemberRow]) -> int:
    return _tally_of(rows).failed


def _summary(row: RolloutRow, members: _Tally) -> RolloutSummary:
    return RolloutSummary(
        id=row.id or 0,
        model=row.model,
        version=row.version,
        status=RolloutStatus(row.status),
        wave=row.wave,
        waves=row.waves,
        devices=members.devices,
        succeeded=members.succeeded,
        failed=members.failed,
        created_by=row.created_by,
        created_at=row.created_at,
        finished_at=row.finished_at,
        reason=row.reason,
    )


def _wave(row: RolloutRow, members: Sequence[Member], rows: Sequence[MemberRow], index: int) -> WaveView:
    values = gate(members, index)
    inside = [member for member in rows if member.wave == index]
    failed = _failures(inside)
    return WaveView(
        index=index,
        status=_wave_status(row, values, index),
        devices=tuple(member.device for member in inside),
        succeeded=values.succeeded,
        failed=failed,
        pending=max(0, values.pending) if RolloutStatus(row.status) in ACTIVE else 0,
        success_rate=values.rate,
        success_threshold=row.success_threshold,
    )


def _wave_status(row: RolloutRow, values: Gate, index: int) -> WaveStatus:
    status = RolloutStatus(row.status)
    if index < row.wave or status is RolloutStatus.SUCCEEDED:
        return WaveStatus.PASSED
    if index > row.wave:
        return WaveStatus.PENDING
    if status in (RolloutStatus.FAILED, RolloutStatus.ABORTED):
        return WaveStatus.FAILED
    return WaveStatus.SOAKING if row.wave_completed_at is not None else WaveStatus.ACTIVE


def _member(row: MemberRow, device: DeviceRow) -> MemberView:
    state = store.reported(device)
    return MemberView(
        device=row.device,
        wave=row.wave,
        state=MemberState(row.state),
        phase=state.phase.value if state else "",
        online=device.online,
        running_version=state.running.version if state and state.running else "",
        previous_version=row.previous_version,
        counter=row.revert_counter or row.counter,
        code=row.code,
        detail=row.detail,
        assigned_at=row.assigned_at,
        finished_at=row.finished_at,
    )


# ---- records


def telemetry(
    session: Session, *, device: str = "", name: str = "", since: float = 0.0, limit: int = 1000
) -> list[TelemetryView]:
    """The newest ``limit`` readings at or after ``since``, oldest first."""
    query = select(TelemetryRow).where(col(TelemetryRow.at) >= since)
    if device:
        query = query.where(col(TelemetryRow.device) == device)
    if name:
        query = query.where(col(TelemetryRow.name) == name)
    newest = query.order_by(col(TelemetryRow.at).desc(), col(TelemetryRow.seq).desc()).limit(limit)
    rows = list(session.exec(newest))[::-1]
    return [TelemetryView(**row.model_dump()) for row in rows]


def events(session: Session, *, device: str = "", since: float = 0.0, limit: int = 1000) -> list[EventView]:
    """The newest ``limit`` events at or after ``since``, oldest first."""
    query = select(EventRow).where(col(EventRow.at) >= since)
    if device:
        query = query.where(col(EventRow.device) == device)
    newest = query.order_by(col(EventRow.at).desc(), col(EventRow.seq).desc()).limit(limit)
    return [EventView(**row.model_dump()) for row in list(session.exec(newest))[::-1]]


def counts(session: Session) -> dict[str, dict[str, int]]:
    """What ``/metrics`` counts: devices by status, running versions, rollouts by status, stored rows."""
    devices = list_devices(session)
    status = {"online": sum(device.online for device in devices), "total": len(devices)}
    versions: dict[str, int] = {}
    for device in devices:
        if device.running_version:
            label = f"{device.running_model} {device.running_version}"
            versions[label] = versions.get(label, 0) + 1
    by_status = session.exec(select(col(RolloutRow.status), func.count()).group_by(col(RolloutRow.status)))
    rollouts = {str(name): int(count) for name, count in by_status}
    refused = session.exec(select(func.count()).where(col(EventRow.kind) == EventKind.REFUSED.value)).one()
    stored = session.exec(select(func.count()).select_from(TelemetryRow)).one()
    return {
        "devices": status,
        "versions": versions,
        "rollouts": rollouts,
        "rows": {"telemetry": int(stored), "refused": int(refused)},
    }
