"""/audit — who did what."""

from __future__ import annotations

from nicegui import ui
from starlette.requests import Request

from fleet_server.dashboard.cells import Column, DataTable, Empty, moment, mono, tag
from fleet_server.dashboard.shell import Context, heading, page
from fleet_server.dashboard.views import audit_row
from flota.api.models import AuditView

COLUMNS = (
    Column("id", "Line", align="right"),
    Column("at", "When", moment("at")),
    Column("actor", "Who"),
    Column("action", "Action", tag("action")),
    Column("subject", "Subject", mono("subject")),
    Column("detail", "Details", css="wrap", sortable=False),
    Column("hash", "Hash", mono("hash"), sortable=False),
)
EMPTY = Empty("The audit log is empty", "Everything that operators do will stand here.")


def register(context: Context) -> None:
    """Add the page."""

    @ui.page("/audit")
    async def _audit(request: Request) -> None:
        with page(context, request, "Audit log", "Audit log") as frame:
            with ui.element("div").classes("head"):
                heading("Audit log")
                ui.html(
                    '<span class="muted">the newest lines; all of them, and a check of their chain of hashes: '
                    "<code>GET /api/v1/audit</code>, <code>/api/v1/audit/check</code></span>",
                    sanitize=False,
                )
            table = DataTable(
                COLUMNS, key="id", empty=EMPTY, sort_by="id", descending=True, page_rows=50, test_id="audit"
            )

            def _show(lines: list[AuditView]) -> None:
                table.show([audit_row(line) for line in lines])

            await frame.follow("audit", context.source.audit, _show)
