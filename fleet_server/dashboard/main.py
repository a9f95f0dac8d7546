"""Puts the dashboard together on the server's FastAPI application."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fastapi import FastAPI
from nicegui import app as pages_app
from nicegui import ui
from starlette.staticfiles import StaticFiles

from fleet_server.dashboard import signin
from fleet_server.dashboard.errors import AlreadyMounted
from fleet_server.dashboard.feed import Feed
from fleet_server.dashboard.guard import Guard
from fleet_server.dashboard.pages import audit, device, fleet, releases, rollout, rollouts
from fleet_server.dashboard.shell import Context
from fleet_server.dashboard.source import FleetSource
from fleet_server.state import Fleet

_STATIC = Path(__file__).parent / "static"
_PAGES = (fleet, device, releases, rollouts, rollout, audit)


def mount_dashboard(app: FastAPI, state: Fleet) -> None:
    """See :func:`fleet_server.dashboard.mount`.

    NiceGUI's own storage is not used, so it gets no secret: a page's state is in its URL, the session in the API's
    table and the theme in a cookie of the browser.
    """
    if pages_app.config.has_run_config:
        raise AlreadyMounted("this process serves a dashboard already", hint="start another process")
    feed = Feed()
    context = Context(FleetSource(state), feed, _asset_version())
    app.include_router(signin.router(context.source, feed.forget))
    app.mount("/_flota", StaticFiles(directory=_STATIC), name="flota-static")
    for page in _PAGES:
        page.register(context)
    favicon = _STATIC / "favicon.svg"
    ui.run_with(app, title="Flota", favicon=favicon, dark=None, tailwind=False, show_welcome_message=False)
    pages_app.add_middleware(Guard, recognize=context.visitor)  # after run_with: the outermost


def _asset_version() -> str:
    digest = hashlib.sha256()
    for path in sorted(_STATIC.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
