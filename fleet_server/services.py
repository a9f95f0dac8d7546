"""What operators can do and see, as plain synchronous functions: the HTTP API and the dashboard both call these.

Each opens its own short transaction on ``fleet.database`` and wakes the rollout engine where that is due. Reading
functions that work on a session stand in :mod:`fleet_server.views`.
"""

from __future__ import annotations

from fleet_server import views
from fleet_server.assignments import Order
from fleet_server.errors import DeviceRevoked
from fleet_server.identity import operators
from fleet_server.identity.operators import Operator
from fleet_server.models import DeviceRow, GroupRow
from fleet_server.rollouts import orders
from fleet_server.rollouts.state import RolloutEvent
from fleet_server.state import Fleet
from flota.api.models import (
    Assigned,
    DeviceDetail,
    DeviceView,
    GroupView,
    ManualAssignment,
    NewGroup,
    NewRollout,
    Ran,
    ReleaseView,
    RolloutSummary,
    RolloutView,
    Session,
)

# ---- sessions


def sign_in(fleet: Fleet, username: str, password: str, address: str) -> Session:
    """Open a session. Raises WrongPassword, Throttled."""
    return operators.sign_in(fleet.database, fleet.config.settings, username, password, address)


def operator_of(fleet: Fleet, token: str) -> Operator:
    """Whose session a token is. Raises Unauthenticated."""
    with fleet.database.read() as session:
        return operators.operator_of(session, token)


def sign_out(fleet: Fleet, token: str) -> None:
    """End a session."""
    with fleet.database.write() as session:
        operators.sign_out(session, token)


# ---- looking


def list_devices(fleet: Fleet) -> list[DeviceView]:
    """Every device, by name."""
    with fleet.database.read() as session:
        return views.list_devices(session)


def device_view(fleet: Fleet, name: str) -> DeviceDetail:
    """One device. Raises NotFound."""
    with fleet.database.read() as session:
        return views.device_view(session, name)


def device_history(fleet: Fleet, name: str) -> list[Ran]:
    """What really ran on a device, in order. Raises NotFound."""
    with fleet.database.read() as session:
        return views.device_history(session, name)


def list_groups(fleet: Fleet) -> list[GroupView]:
    """Every group."""
    with fleet.database.read() as session:
        return views.list_groups(session)


def list_releases(fleet: Fleet) -> list[ReleaseView]:
    """Every published release."""
    return views.list_releases(fleet.repository)


def list_rollouts(fleet: Fleet) -> list[RolloutSummary]:
    """Rollouts, the newest first."""
    with fleet.database.read() as session:
        return views.list_rollouts(session)


def rollout_view(fleet: Fleet, identity: int) -> RolloutView:
    """One rollout with waves, gate values and devices. Raises NotFound."""
    with fleet.database.read() as session:
        return views.rollout_view(session, identity)


# ---- changing


def create_rollout(fleet: Fleet, order: NewRollout, *, actor: str) -> RolloutView:
    """Start a rollout. Raises as :func:`fleet_server.rollouts.orders.create` does."""
    with fleet.database.write() as session:
        identity = orders.create(session, order, fleet.director, actor=actor)
        view = views.rollout_view(session, identity)
    fleet.wake()
    return view


def pause_rollout(fleet: Fleet, identity: int, *, actor: str) -> RolloutView:
    """Assign no more devices until it is resumed. Raises NotFound, RolloutState."""
    return _change(fleet, identity, RolloutEvent.PAUSE, actor)


def resume_rollout(fleet: Fleet, identity: int, *, actor: str) -> RolloutView:
    """Go on with a paused rollout. Raises NotFound, RolloutState."""
    return _change(fleet, identity, RolloutEvent.RESUME, actor)


def abort_rollout(fleet: Fleet, identity: int, *, actor: str, rollback: bool = True) -> RolloutView:
    """End a rollout; with ``rollback`` every device it moved goes back. Raises NotFound, RolloutState."""
    return _change(fleet, identity, RolloutEvent.ABORT, actor, rollback=rollback)


def add_group(fleet: Fleet, group: NewGroup, *, actor: str) -> GroupView:
    """Make a group, or describe it anew, and move devices into it. Raises NotFound."""
    from fleet_server import audit
    from fleet_server.identity.enrolment import ensure_group

    with fleet.database.write() as session:
        rows = [views.device_row(session, name) for name in group.devices]
        ensure_group(session, group.name)
        row = session.get_one(GroupRow, group.name)
        row.description = group.description or row.description
        for device in rows:
            device.group_name = group.name
        session.add_all([row, *rows])
        session.flush()
        audit.record(session, actor, "group.set", group.name, {"devices": ",".join(group.devices)})
        return next(view for view in views.list_groups(session) if view.name == group.name)


def assign_device(fleet: Fleet, name: str, request: ManualAssignment, *, actor: str) -> Assigned:
    """Assign a release to one device, outside any rollout.

    Raises:
        NotFound, DeviceRevoked, RolloutBusy, RolloutRefused: It cannot be.
    """
    from fleet_server import audit

    with fleet.database.write() as session:
        device: DeviceRow = views.device_row(session, name)
        if device.revoked_at is not None:
            raise DeviceRevoked(f"{name} was revoked", hint="enrol it again first")
        orders.check_not_busy(session, name)
        bundle = fleet.director.bundle_for(device, fleet.director.bundles(request.model, request.version))
        order = Order(reason="manual", probation_s=request.probation_s, limits=request.limits)
        row = fleet.director.assign(session, device, bundle, order)
        audit.record(session, actor, "device.assign", name, {"version": row.version, "counter": row.counter})
        answer = Assigned(device=name, counter=row.counter, model=row.model, version=row.version)
    fleet.wake()
    return answer


def _change(fleet: Fleet, identity: int, event: RolloutEvent, actor: str, *, rollback: bool = True) -> RolloutView:
    with fleet.database.write() as session:
        orders.change(session, identity, event, actor=actor, rollback=rollback)
        view = views.rollout_view(session, identity)
    fleet.wake()
    return view
