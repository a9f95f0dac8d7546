"""What was recorded: telemetry, events, the audit log; and the server's own figures."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from fleet_server import audit, views
from fleet_server.api.deps import FleetDep, OperatorDep, ScraperDep, ViewerDep
from fleet_server.metrics import registry_of
from flota.api.models import AuditCheck, AuditView, EventView, TelemetryView

router = APIRouter(tags=["records"])
metrics_router = APIRouter(tags=["monitoring"])
health_router = APIRouter(tags=["monitoring"])

Since = Annotated[float, Query(ge=0, description="UTC seconds since the epoch")]
Limit = Annotated[int, Query(ge=1, le=10_000)]
Name = Annotated[str, Query(max_length=64)]


@router.get("/telemetry")
def telemetry(
    viewer: ViewerDep, fleet: FleetDep, device: Name = "", name: Name = "", since: Since = 0, limit: Limit = 1000
) -> list[TelemetryView]:
    """The newest readings that fit, oldest first."""
    with fleet.database.read() as session:
        return views.telemetry(session, device=device, name=name, since=since, limit=limit)


@router.get("/events")
def events(
    viewer: ViewerDep, fleet: FleetDep, device: Name = "", since: Since = 0, limit: Limit = 1000
) -> list[EventView]:
    """The newest events that fit, oldest first."""
    with fleet.database.read() as session:
        return views.events(session, device=device, since=since, limit=limit)


@router.get("/audit")
def audit_log(
    operator: OperatorDep, fleet: FleetDep, after: Annotated[int, Query(ge=0, lt=1 << 62)] = 0, limit: Limit = 1000
) -> list[AuditView]:
    """The audit log, oldest first, after the line ``after``."""
    with fleet.database.read() as session:
        return audit.entries(session, after=after, limit=limit)


@router.get("/audit/check")
def audit_check(operator: OperatorDep, fleet: FleetDep) -> AuditCheck:
    """Recompute the chain of hashes."""
    with fleet.database.read() as session:
        return audit.check(session)


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request, viewer: ViewerDep) -> dict[str, object]:
    """This API, described in OpenAPI."""
    document: dict[str, object] = request.app.openapi()
    return document


@metrics_router.get("/metrics")
def metrics(scraper: ScraperDep, fleet: FleetDep) -> Response:
    """The server's figures in Prometheus' text format; a bearer token, or name and password."""
    return Response(generate_latest(registry_of(fleet)), media_type=CONTENT_TYPE_LATEST)


@health_router.get("/healthz")
def healthz() -> dict[str, str]:
    """Whether the server answers; no more is told without credentials."""
    return {"status": "ok"}
