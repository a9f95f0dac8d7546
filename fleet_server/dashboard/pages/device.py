"""/devices/{name} — one device: its state, what ran on it and why, its telemetry and its events."""

from __future__ import annotations

from html import escape

from nicegui import ui
from starlette.requests import Request

from fleet_server.dashboard.cells import (
    Column,
    DataTable,
    Empty,
    facts,
    moment,
    mono,
    mono_html,
    tag,
    tag_html,
    time_html,
)
from fleet_server.dashboard.plots import Plot
from fleet_server.dashboard.shell import Context, heading, not_found, page
from fleet_server.dashboard.source import DeviceRecord
from fleet_server.dashboard.views import NONE, device_row, event_rows, history_rows, series
from flota.errors import FlotaError

HISTORY = (
    Column("version", "Version", '{{ props.row.model }} <b class="mono">{{ props.row.version }}</b>', sortable=False),
    Column("reason", "Why", tag("reason"), sortable=False),
    Column("at", "Since", moment("at"), sortable=False),
    Column("now", "", "<b>{{ props.row.now }}</b>", sortable=False),
)
NO_HISTORY = Empty(
    "Nothing ran here yet",
    "Roll a release out to it:",
    "flota rollout create MODEL VERSION --device {device}",
)
EVENTS = (
    Column("at", "When", moment("at")),
    Column("kind", "Event", tag("kind", code="code")),
    Column("version", "Version", mono("version")),
    Column("detail", "Details", css="wrap", sortable=False),
)
NO_EVENTS = Empty("No event yet", "The device reports here once its agent runs:", "flota agent run DIR")
FACTS = (
    ("Connection", "device-link"),
    ("Running", "device-version"),
    ("Assigned", "device-goal"),
    ("Phase", "device-phase"),
    ("Last result", "device-result"),
    ("Last seen", "device-seen"),
    ("Kind", "device-kind"),
    ("Target", "device-target"),
    ("Group", "device-group"),
    ("Slot", "device-slot"),
    ("Security floor", "device-floor"),
    ("Agent", "device-agent"),
)


def register(context: Context) -> None:
    """Add the page."""

    @ui.page("/devices/{name}")
    async def _device(request: Request, name: str) -> None:
        try:
            await context.feed.read(("device", name), lambda: context.source.device(name))
        except FlotaError as error:
            not_found(context, request, "Fleet", error, "flota device list")
            return
        with page(context, request, name, "Fleet") as frame:
            with ui.element("div").classes("head"):
                heading(name, crumb="Fleet", crumb_path="/")
            view = _Device(name)
            await frame.follow(("device", name), lambda: context.source.device(name), view.show)


class _Device:
    def __init__(self, name: str) -> None:
        with ui.element("section").classes("panel"):
            self._set_facts = facts(FACTS)
        _subheading("Telemetry")
        with ui.element("div").classes("columns"):
            with ui.element("div").classes("panel"):
                lines = (("latency_p50_ms", "median"), ("latency_p95_ms", "95th percentile"))
                self._latency = Plot("Latency", "ms", lines, test_id="plot-latency")
            with ui.element("div").classes("panel"):
                lines = (("inferences", "inferences"), ("errors", "errors"))
                self._inferences = Plot("Inferences", "per report", lines, test_id="plot-inferences")
        with ui.element("div").classes("columns"):
            with ui.element("section"):
                _subheading("Versions that ran")
                empty = Empty(NO_HISTORY.title, NO_HISTORY.text, NO_HISTORY.command.format(device=name))
                self._history = DataTable(HISTORY, key="id", empty=empty, test_id="history")
            with ui.element("section"):
                _subheading("Events")
                self._events = DataTable(EVENTS, key="id", empty=NO_EVENTS, page_rows=25, test_id="events")

    def show(self, record: DeviceRecord) -> None:
        self._set_facts(_fact_values(record))
        for plot in (self._latency, self._inferences):
            plot.show(series(record.readings, plot.names))
        self._history.show(history_rows(record.history))
        self._events.show(event_rows(record.events))


def _fact_values(record: DeviceRecord) -> list[str]:
    device, row, state = record.device, device_row(record.device), record.device.reported
    running = state.running if state else None
    goal = f"{device.desired_model} {device.desired_version}".strip() or NONE
    return [
        tag_html(row.link, row.link_tone),
        f"{escape(row.model)} {mono_html(row.version)}",
        f"{escape(goal)} <span class=muted>#{device.desired_counter}</span>" if device.desired_counter else NONE,
        tag_html(row.phase, row.phase_tone),
        tag_html(row.result, row.result_tone) + f'<span class="code">{escape(row.code)}</span>',
        time_html(row.seen),
        escape(row.kind),
        mono_html(row.target),
        escape(row.group),
        f"{running.slot}, since {time_html(running.since)}" if running else NONE,
        str(state.security_floor) if state else NONE,
        escape(state.agent_version) if state and state.agent_version else NONE,
    ]


def _subheading(text: str) -> None:
    ui.html(escape(text), sanitize=False, tag="h2")
