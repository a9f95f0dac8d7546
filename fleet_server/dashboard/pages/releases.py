"""/releases — every published release."""

from __future__ import annotations

from nicegui import ui
from starlette.requests import Request

from fleet_server.dashboard.cells import Column, DataTable, Empty, moment, mono
from fleet_server.dashboard.shell import Context, heading, page

COLUMNS = (
    Column("model", "Model"),
    Column("version", "Version", '<b class="mono">{{ props.row.version }}</b>'),
    Column("targets", "Targets", mono("targets"), css="wrap"),
    Column("bytes", "Size", '<span class="number">{{ props.row.size }}</span>', align="right"),
    Column("floor", "Security floor", align="right"),
    Column("published", "Published", moment("published")),
)
EMPTY = Empty(
    "Nothing is published",
    "Sign a release offline, then send it here:",
    "flota release create .flota/bundles/MODEL-VERSION-*.flota\nflota release publish",
)


def register(context: Context) -> None:
    """Add the page."""

    @ui.page("/releases")
    async def _releases(request: Request) -> None:
        with page(context, request, "Releases", "Releases") as frame:
            with ui.element("div").classes("head"):
                heading("Releases")
            table = DataTable(
                COLUMNS, key="id", empty=EMPTY, sort_by="published", descending=True, page_rows=50, test_id="releases"
            )
            await frame.follow("releases", context.source.releases, table.show)
