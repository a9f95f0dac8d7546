"""The dashboard's one way to the fleet: the server's services, gathered into what each page needs.

Everything here is synchronous and opens its own short transactions; :mod:`fleet_server.dashboard.feed` calls it in
threads.
A page is one record, read with a fixed number of queries however many rows it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fleet_server import audit, services, views
from fleet_server.dashboard.views import ReleaseRow, release_row
from fleet_server.dashboard.visitor import Visitor
from fleet_server.errors import Forbidden, Unauthenticated
from fleet_server.state import Fleet
from flota.api.models import (
    AuditView,
    DeviceDetail,
    DeviceView,
    EventView,
    Ran,
    RolloutSummary,
    RolloutView,
    Session,
    TelemetryView,
)

Act = Literal["pause", "resume", "abort"]
READINGS = 2000
EVENTS = 200
AUDIT_LINES = 500
MOMENTS = 500


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """Everything the page of a device shows; readings and events oldest first."""

    device: DeviceDetail
    history: tuple[Ran, ...]
    events: tuple[EventView, ...]
    readings: tuple[TelemetryView, ...]


@dataclass(frozen=True, slots=True)
class RolloutRecord:
    """Everything the page of a rollout shows; ``acts`` are its lines of the audit log, oldest first."""

    view: RolloutView
    acts: tuple[AuditView, ...]


class FleetSource:
    """One running server, as the dashboard sees it."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    # ---- sessions

    def visitor(self, token: str) -> Visitor | None:
        """Whose session a token is; None: nobody's (any more)."""
        if not token:
            return None
        try:
            operator = services.operator_of(self._fleet, token)
        except Unauthenticated:
            return None
        return Visitor(operator.name, operator.role.value, operator.may_change, token)

    def sign_in(self, username: str, password: str, address: str) -> Session:
        """Open a session. Raises WrongPassword, Throttled."""
        return services.sign_in(self._fleet, username, password, address)

    def sign_out(self, token: str) -> None:
        """End a session."""
        services.sign_out(self._fleet, token)

    # ---- looking

    def devices(self) -> list[DeviceView]:
        """Every device, by name."""
        return services.list_devices(self._fleet)

    def device(self, name: str) -> DeviceRecord:
        """One device with its past. Raises NotFound."""
        with self._fleet.database.read() as session:
            return DeviceRecord(
                device=views.device_view(session, name),
                history=tuple(views.device_history(session, name)),
                events=tuple(views.events(session, device=name, limit=EVENTS)),
                readings=tuple(views.telemetry(session, device=name, limit=READINGS)),
            )

    def releases(self) -> list[ReleaseRow]:
        """Every published release, by model and version."""
        published = self._published_at()
        return [
            release_row(release, published.get(f"{release.model} {release.version}"))
            for release in services.list_releases(self._fleet)
        ]

    def rollouts(self) -> list[RolloutSummary]:
        """Rollouts, the newest first."""
        return services.list_rollouts(self._fleet)

    def rollout(self, identity: int) -> RolloutRecord:
        """One rollout with what happened in it. Raises NotFound."""
        with self._fleet.database.read() as session:
            return RolloutRecord(
                view=views.rollout_view(session, identity),
                acts=tuple(audit.newest(session, subject=f"rollout {identity}", limit=MOMENTS)),
            )

    def audit(self) -> list[AuditView]:
        """The newest lines of the audit log, oldest first."""
        with self._fleet.database.read() as session:
            return audit.newest(session, limit=AUDIT_LINES)

    # ---- changing

    def act(self, token: str, identity: int, name: Act, *, rollback: bool = True) -> None:
        """Pause, resume or abort a rollout, in the name of a session that is checked again.

        Raises:
            Unauthenticated: The session is over.
            Forbidden: Its role only looks.
            NotFound, RolloutState: There is no such rollout, or its status does not allow that.
        """
        operator = services.operator_of(self._fleet, token)
        if not operator.may_change:
            raise Forbidden("a viewer cannot change anything", hint="sign in as an operator")
        if name == "pause":
            services.pause_rollout(self._fleet, identity, actor=operator.name)
        elif name == "resume":
            services.resume_rollout(self._fleet, identity, actor=operator.name)
        else:
            services.abort_rollout(self._fleet, identity, actor=operator.name, rollback=rollback)

    def _published_at(self) -> dict[str, float]:
        """When a release («MODEL VERSION») was published: the audit log knows."""
        with self._fleet.database.read() as session:
            lines = audit.newest(session, action="release.publish", limit=AUDIT_LINES)
        found: dict[str, float] = {}
        for line in lines:
            for path in line.detail.get("new", "").split(","):
                found.setdefault(" ".join(path.split("/")[:2]), line.at)  # MODEL/VERSION/FILE
        return found
