"""The dashboard: NiceGUI pages on the operator port, behind the API's own sign-in.

Nothing here is imported before :func:`mount` is called, so only ``flota server run`` loads NiceGUI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

    from fleet_server.state import Fleet

__all__ = ["mount"]


def mount(app: FastAPI, fleet: Fleet) -> None:
    """Serve the dashboard of ``fleet`` on every path of ``app`` that has no route yet: call it last, once per process.

    Raises:
        AlreadyMounted: This process serves a dashboard already (NiceGUI keeps one application per process).
    """
    from fleet_server.dashboard.main import mount_dashboard

    mount_dashboard(app, fleet)
