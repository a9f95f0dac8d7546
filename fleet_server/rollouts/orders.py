"""What operators do to rollouts: create, pause, resume, abort. Each is one transaction of the caller's."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from sqlmodel import Session, col, select

from fleet_server import audit
from fleet_server.assignments import Director
from fleet_server.errors import Conflict, DeviceRevoked, NotFound, RolloutBusy, RolloutRefused, RolloutState
from fleet_server.models import DeviceRow, GroupRow, MemberRow, RolloutRow
from fleet_server.rollouts.state import ACTIVE, IllegalTransition, RolloutEvent, next_status
from flota.api.models import MemberState, NewRollout, RolloutStatus, Wave


def create(session: Session, order: NewRollout, director: Director, *, actor: str) -> int:
    """Store a rollout whose first wave the engine will assign at its next step; returns its id.

    Raises:
        NotFound: There is no such release, group or device.
        RolloutRefused: The release has no bundle for a device, or there is no device.
        RolloutBusy: A device is in another rollout that is not over.
        DeviceRevoked: A device was revoked.
    """
    bundles = director.bundles(order.model, order.version)
    devices = _devices(session, order)
    paths = [director.bundle_for(device, bundles).path for device in devices]
    _check_free(session, devices)
    waves = plan_waves(len(devices), order.waves)
    row = _row(order, waves=len(waves), devices=len(devices), actor=actor)
    session.add(row)
    session.flush()
    assert row.id is not None
    of_wave = [wave for wave, size in enumerate(waves) for _ in range(size)]
    for position, (device, path) in enumerate(zip(devices, paths, strict=True)):
        session.add(
            MemberRow(
                rollout_id=row.id,
                device=device.name,
                position=position,
                wave=of_wave[position],
                state=MemberState.WAITING.value,
                path=path,
            )
        )
    detail = {"model": order.model, "version": order.version, "devices": len(devices), "waves": waves}
    audit.record(session, actor, "rollout.create", f"rollout {row.id}", detail)
    session.flush()
    return row.id


def change(session: Session, identity: int, event: RolloutEvent, *, actor: str, rollback: bool = True) -> None:
    """Pause, resume or abort a rollout.

    Raises:
        NotFound: There is no such rollout.
        RolloutState: Its status does not allow that.
    """
    row = session.get(RolloutRow, identity)
    if row is None:
        raise NotFound(f"there is no rollout {identity}", hint="`flota rollout list` shows the rollouts")
    try:
        row.status = next_status(RolloutStatus(row.status), event).value
    except IllegalTransition as error:
        raise RolloutState(str(error), hint="`flota rollout show` tells where it stands") from error
    if event is RolloutEvent.ABORT:
        row.rollback, row.finished_at, row.reason = rollback, time.time(), f"aborted by {actor}"
    session.add(row)
    audit.record(session, actor, f"rollout.{event.value}", f"rollout {identity}", {"rollback": rollback})


def plan_waves(devices: int, waves: Sequence[Wave]) -> list[int]:
    """The size of each wave: percentages are of all devices, rounded up; what is left over makes one more wave."""
    sizes: list[int] = []
    left = devices
    for wave in waves:
        wanted = wave.size if wave.size is not None else math.ceil(devices * (wave.percent or 0.0) / 100)
        size = min(wanted, left)
        if size:
            sizes.append(size)
            left -= size
    return [*sizes, left] if left else sizes


def check_not_busy(session: Session, device: str) -> None:
    """Check that no rollout that is not over has this device.

    Raises:
        RolloutBusy: One has.
    """
    row = session.get(DeviceRow, device)
    _check_free(session, [row] if row else [])


def _devices(session: Session, order: NewRollout) -> list[DeviceRow]:
    if order.group:
        return _group_devices(session, order.group)
    found = []
    for name in order.devices:
        row = session.get(DeviceRow, name)
        if row is None:
            raise NotFound(f"there is no device {name}", hint="`flota device list` shows the devices")
        if row.revoked_at is not None:
            raise DeviceRevoked(f"{name} was revoked", hint="leave it out")
        found.append(row)
    return found


def _group_devices(session: Session, group: str) -> list[DeviceRow]:
    if session.get(GroupRow, group) is None:
        raise NotFound(f"there is no group {group}", hint="`flota device list` shows the groups")
    query = select(DeviceRow).where(col(DeviceRow.group_name) == group, col(DeviceRow.revoked_at).is_(None))
    devices = list(session.exec(query.order_by(col(DeviceRow.name))))
    if not devices:
        raise RolloutRefused(f"group {group} has no devices", hint="add devices to it first")
    return devices


def _check_free(session: Session, devices: Sequence[DeviceRow]) -> None:
    names = [device.name for device in devices]
    query = (
        select(col(MemberRow.device), col(MemberRow.rollout_id))
        .join(RolloutRow, col(RolloutRow.id) == col(MemberRow.rollout_id))
        .where(col(MemberRow.device).in_(names), col(RolloutRow.status).in_([status.value for status in ACTIVE]))
    )
    busy: Conflict | None = None
    for device, rollout in session.exec(query):
        busy = RolloutBusy(f"{device} is in rollout {rollout}, which is not over", hint="wait for it, or abort it")
    if busy:
        raise busy


def _row(order: NewRollout, *, waves: int, devices: int, actor: str) -> RolloutRow:
    return RolloutRow(
        model=order.model,
        version=order.version,
        status=RolloutStatus.RUNNING.value,
        waves=waves,
        success_threshold=order.success_threshold,
        max_failures=devices if order.max_failures is None else order.max_failures,
        probation_s=order.probation_s,
        wave_soak_s=order.wave_soak_s,
        timeout_s=order.timeout_s,
        limits_json=order.limits.model_dump_json(),
        created_by=actor,
        created_at=time.time(),
    )
