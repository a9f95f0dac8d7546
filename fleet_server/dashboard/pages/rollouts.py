"""/rollouts — every rollout, the newest first."""

from __future__ import annotations

from nicegui import ui
from starlette.requests import Request

from fleet_server.dashboard.cells import Column, DataTable, Empty, link, meter, moment, tag
from fleet_server.dashboard.rollout_views import rollout_row
from fleet_server.dashboard.shell import Context, heading, page
from flota.api.models import RolloutSummary

_PROGRESS = (
    '<div style="display: flex; gap: 10px; align-items: center">'
    + meter(("good", "good"), ("bad", "bad"), label="progress")
    + '<span class="number">{{ props.row.progress }}</span></div>'
)
COLUMNS = (
    Column("id", "Rollout", link("id", "/rollouts/")),
    Column("model", "Model"),
    Column("version", "Version", '<b class="mono">{{ props.row.version }}</b>'),
    Column("status", "Status", tag("status")),
    Column("wave", "Wave"),
    Column("good", "Devices done", _PROGRESS),
    Column("by", "By"),
    Column("created", "Begun", moment("created")),
    Column("finished", "Ended", '<time v-if="props.row.finished" :data-at="props.row.finished"></time>'),
    Column("reason", "Reason", css="wrap", sortable=False),
)
EMPTY = Empty(
    "No rollout yet",
    "Bring a published release to a group of devices, a canary first:",
    "flota rollout create MODEL VERSION --group default --wave 1 --wave 50% --wave 100%",
)


def register(context: Context) -> None:
    """Add the page."""

    @ui.page("/rollouts")
    async def _rollouts(request: Request) -> None:
        with page(context, request, "Rollouts", "Rollouts") as frame:
            with ui.element("div").classes("head"):
                heading("Rollouts")
            table = DataTable(
                COLUMNS, key="id", empty=EMPTY, sort_by="id", descending=True, page_rows=50, test_id="rollouts"
            )

            def _show(rollouts: list[RolloutSummary]) -> None:
                table.show([rollout_row(rollout) for rollout in rollouts])

            await frame.follow("rollouts", context.source.rollouts, _show)
