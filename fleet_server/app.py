"""The two applications: one for operators (HTTPS), one for devices (HTTPS with client certificates)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fleet_server.api import devices, records, releases, rollouts, session
from fleet_server.errors import UploadTooLarge
from fleet_server.state import Fleet
from flota import __version__
from flota.api.models import API, Problem
from flota.errors import FlotaError, StorageError, UsageError
from flota.trust.errors import NoRepository, NotFound, TrustError, UnknownTarget

_MAX_BODY_BYTES = 1 << 20
_STATUS: tuple[tuple[type[FlotaError], int], ...] = (
    (NotFound, 404),
    (UnknownTarget, 404),
    (NoRepository, 409),
    (TrustError, 422),
    (UsageError, 422),
    (StorageError, 507),
)

log = logging.getLogger("flota.http")


def operator_app(fleet: Fleet) -> FastAPI:
    """The application of the operator port; the dashboard is mounted onto it."""
    api = [session.router, devices.router, releases.router, rollouts.router, records.router]
    app = _app(fleet, "Flota fleet server", api, max_upload_bytes=fleet.config.settings.max_upload_bytes)
    app.include_router(records.metrics_router)
    app.include_router(records.metrics_router, prefix=API, include_in_schema=False)
    return app


def device_app(fleet: Fleet) -> FastAPI:
    """The application of the device port: TUF metadata and artifacts."""
    return _app(fleet, "Flota device port", [releases.device_router], max_upload_bytes=0)


def _app(fleet: Fleet, title: str, routers: Sequence[APIRouter], *, max_upload_bytes: int) -> FastAPI:
    app = FastAPI(title=title, version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.fleet = fleet
    app.add_exception_handler(FlotaError, _flota_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _bug)
    app.add_middleware(_BodyLimit, max_upload_bytes=max_upload_bytes)
    for router in routers:
        app.include_router(router, prefix=API, responses={"4XX": {"model": Problem}, "5XX": {"model": Problem}})
    app.include_router(records.health_router)
    app.include_router(records.health_router, prefix=API, include_in_schema=False)
    return app


def problem(status: int, code: str, message: str, hint: str = "") -> JSONResponse:
    """The one form in which errors are answered."""
    headers = {"www-authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(Problem(code=code, message=message, hint=hint).model_dump(), status, headers)


def _flota_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, FlotaError)
    by_kind = next((status for kind, status in _STATUS if isinstance(error, kind)), 400)
    status = int(getattr(error, "status", by_kind))
    if status >= 500:
        log.error("%s %s: %s (%s)", request.method, request.url.path, error.message, error.code)
    return problem(status, error.code, error.message, error.hint)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first: dict[str, Any] = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    text = str(first["msg"]).removeprefix("Value error, ")
    return problem(422, "request.invalid", f"{where}: {text}" if where else text, f"see {API}/openapi.json")


def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = {404: "http.not-found", 405: "http.method"}.get(error.status_code, "http.error")
    return problem(error.status_code, code, f"{request.method} {request.url.path}: {error.detail}")


def _bug(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "server.error", "the server failed at this request", "see the server's log")


class _TooLarge(Exception):
    """More bytes came than may."""


class _BodyLimit:
    """Stops reading a request that is too large, before anything is parsed or anyone is asked for credentials."""

    def __init__(self, app: ASGIApp, *, max_upload_bytes: int) -> None:
        self._app = app
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        upload = scope["path"] == f"{API}/releases"
        limit = max(_MAX_BODY_BYTES, self._max_upload_bytes if upload else 0)
        started = False

        async def limited() -> Message:
            nonlocal limit
            message = await receive()
            limit -= len(message.get("body", b""))
            if limit < 0:
                raise _TooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, limited, watched)
        except _TooLarge:
            if not started:
                error = UploadTooLarge("the request is too large", hint="see max_upload_bytes in server.json")
                await problem(error.status, error.code, error.message, error.hint)(scope, receive, send)
