"""What the parts of one server process share: made once in ``main``, reached by requests as ``app.state.fleet``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlmodel import Session, col, select

from fleet_server.assignments import Director
from fleet_server.broker import Broker
from fleet_server.config import Ports, ServerConfig
from fleet_server.database import Database
from fleet_server.link import Link
from fleet_server.models import DeviceRow
from fleet_server.rollouts.runner import Runner
from flota.trust.ca import CertificateAuthority
from flota.trust.online import OnlineRepository


@dataclass(frozen=True, slots=True)
class Fleet:
    """One running server. ``wake`` has the rollout engine look at once; it may be called from any thread."""

    config: ServerConfig
    ports: Ports
    database: Database
    authority: CertificateAuthority
    repository: OnlineRepository
    director: Director
    broker: Broker
    link: Link
    runner: Runner

    @property
    def wake(self) -> Callable[[], None]:
        """Have the rollout engine look at once."""
        return self.runner.wake


def revoked_devices(session: Session) -> list[str]:
    """The names of revoked devices."""
    return list(session.exec(select(col(DeviceRow.name)).where(col(DeviceRow.revoked_at).is_not(None))))
