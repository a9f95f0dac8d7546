"""Devices and groups: register, enrol, look, revoke, ask, assign."""

from __future__ import annotations

from anyio import to_thread
from fastapi import APIRouter, status

from fleet_server import services, views
from fleet_server.api.deps import FleetDep, OperatorDep, ViewerDep
from fleet_server.errors import DeviceRevoked
from fleet_server.identity import enrolment
from fleet_server.models import DeviceRow
from fleet_server.state import Fleet, revoked_devices
from flota.api.models import (
    API,
    Assigned,
    CommandRequest,
    DeviceDetail,
    DeviceView,
    Enrolled,
    Enrolment,
    EnrolmentToken,
    GroupView,
    ManualAssignment,
    NewDevice,
    NewGroup,
    Ran,
)
from flota.messages import Reply

router = APIRouter(tags=["devices"])


@router.get("/devices")
def list_devices(viewer: ViewerDep, fleet: FleetDep) -> list[DeviceView]:
    """Every device, by name."""
    return services.list_devices(fleet)


@router.post("/devices", status_code=status.HTTP_201_CREATED)
def add_device(device: NewDevice, operator: OperatorDep, fleet: FleetDep) -> EnrolmentToken:
    """Register a device; the one-time token in the answer is shown only here."""
    with fleet.database.write() as session:
        known = session.get(DeviceRow, device.name)
        was_revoked = known is not None and known.revoked_at is not None
        token = enrolment.register(
            session, device, lifetime_s=fleet.config.settings.enrolment_token_s, actor=operator.name
        )
    if was_revoked:  # connections made with the old certificate may still be open, and the name is allowed again
        fleet.broker.restart(_revoked(fleet))
    return token


@router.get("/devices/{name}")
def show_device(name: str, viewer: ViewerDep, fleet: FleetDep) -> DeviceDetail:
    """One device with the state it reported."""
    return services.device_view(fleet, name)


@router.delete("/devices/{name}")
async def revoke_device(name: str, operator: OperatorDep, fleet: FleetDep) -> DeviceView:
    """Refuse the device's certificate from now on."""
    await to_thread.run_sync(_revoke, fleet, name, operator.name)
    await fleet.link.forget(name)
    return await to_thread.run_sync(services.device_view, fleet, name)


@router.get("/devices/{name}/history")
def device_history(name: str, viewer: ViewerDep, fleet: FleetDep) -> list[Ran]:
    """What really ran on the device, in order."""
    return services.device_history(fleet, name)


@router.post("/devices/{name}/command")
async def command_device(name: str, request: CommandRequest, operator: OperatorDep, fleet: FleetDep) -> Reply:
    """Ask a device something from the allow-list and wait for its answer."""
    await to_thread.run_sync(_check_reachable, fleet, name)
    return await fleet.link.ask(name, request)


@router.post("/devices/{name}/assign", status_code=status.HTTP_201_CREATED)
def assign_device(name: str, request: ManualAssignment, operator: OperatorDep, fleet: FleetDep) -> Assigned:
    """Assign a release to one device, outside any rollout."""
    return services.assign_device(fleet, name, request, actor=operator.name)


@router.post("/enrol", status_code=status.HTTP_201_CREATED)
def enrol(request: Enrolment, fleet: FleetDep) -> Enrolled:
    """Trade a one-time token and a certificate request for a certificate; the token is the credential."""
    root = fleet.repository.root()
    device, certificate = enrolment.enrol(fleet.database, fleet.authority, request.token, request.csr_pem)
    return Enrolled(
        device=device,
        certificate_pem=certificate.decode(),
        ca_pem=fleet.authority.certificate_pem.decode(),
        mqtt_host=fleet.config.settings.host,
        mqtt_port=fleet.ports.mqtt,
        artifacts_url=fleet.config.url(fleet.ports.device) + API,
        tuf_root=root.decode(),
    )


@router.get("/groups")
def list_groups(viewer: ViewerDep, fleet: FleetDep) -> list[GroupView]:
    """Every group with its devices."""
    return services.list_groups(fleet)


@router.post("/groups", status_code=status.HTTP_201_CREATED)
def add_group(group: NewGroup, operator: OperatorDep, fleet: FleetDep) -> GroupView:
    """Make a group, or move devices into it."""
    return services.add_group(fleet, group, actor=operator.name)


def _revoke(fleet: Fleet, name: str, actor: str) -> None:
    enrolment.revoke(fleet.database, fleet.authority, name, actor=actor)
    fleet.broker.reload(_revoked(fleet))
    fleet.wake()


def _revoked(fleet: Fleet) -> list[str]:
    with fleet.database.read() as session:
        return revoked_devices(session)


def _check_reachable(fleet: Fleet, name: str) -> None:
    with fleet.database.read() as session:
        if views.device_row(session, name).revoked_at is not None:
            raise DeviceRevoked(f"{name} was revoked", hint="enrol it again first")
