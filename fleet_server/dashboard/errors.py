"""Errors of the dashboard."""

from __future__ import annotations

from fleet_server.errors import ServerError


class DashboardError(ServerError):
    """Base of the dashboard's errors."""

    code = "dashboard.error"


class AlreadyMounted(DashboardError):
    """NiceGUI serves one application per process."""

    code = "dashboard.mounted"
