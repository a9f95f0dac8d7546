"""/ — every device of the fleet."""

from __future__ import annotations

from html import escape

from nicegui import events, ui
from starlette.requests import Request

from fleet_server.dashboard.cells import Column, DataTable, Empty, link, moment, mono, tag
from fleet_server.dashboard.shell import Context, heading, page
from fleet_server.dashboard.views import DeviceRow, device_row, fleet_tiles, rows_of_tile
from flota.api.models import DeviceView

_VERSION = (
    '{{ props.row.model }} <b class="mono">{{ props.row.version }}</b>'
    '<span class="arrow" v-if="props.row.goal" title="assigned">→ {{ props.row.goal }}</span>'
)
COLUMNS = (
    Column("name", "Device", link("name", "/devices/")),
    Column("kind", "Kind"),
    Column("target", "Target", mono("target")),
    Column("group", "Group"),
    Column("version", "Running", _VERSION),
    Column("phase", "Phase", tag("phase")),
    Column("link", "Connection", tag("link")),
    Column("seen", "Last seen", moment("seen")),
    Column("result", "Last result", tag("result", code="code")),
)
EMPTY = Empty(
    "No device yet",
    "Register one here, then enrol it with the token that this prints:",
    "flota device add NAME --kind linux\n"
    "flota agent enrol --server URL --ca ca.pem --token TOKEN --device NAME --dir DIR",
)


def register(context: Context) -> None:
    """Add the page."""

    @ui.page("/")
    async def _fleet(request: Request) -> None:
        with page(context, request, "Fleet", "Fleet") as frame:
            fleet = _Fleet()
            await frame.follow("devices", context.source.devices, fleet.show)


class _Fleet:
    def __init__(self) -> None:
        self._rows: list[DeviceRow] = []
        self._tile = "all"
        with ui.element("div").classes("head"):
            heading("Fleet")
            ui.element("div").classes("grow")
            search = ui.input(placeholder="Filter: name, kind, group, version, phase …")
            search.props('outlined dense clearable debounce=150 aria-label="Filter devices" data-testid="search"')
            search.classes("search")
        with ui.element("div").classes("tiles"):
            self._tiles = {tile.key: _tile_button(tile.key) for tile in fleet_tiles([])}
        for button in self._tiles.values():
            button.on("click", self._choose)
        self._table = DataTable(COLUMNS, key="name", empty=EMPTY, sort_by="name", page_rows=50, test_id="fleet")
        search.bind_value_to(self._table.table, "filter", forward=lambda text: text or "")

    def show(self, devices: list[DeviceView]) -> None:
        self._rows = [device_row(device) for device in devices]
        self._render()

    def _choose(self, event: events.GenericEventArguments) -> None:
        key = next(key for key, button in self._tiles.items() if button is event.sender)
        self._tile = "all" if key == self._tile else key
        self._render()

    def _render(self) -> None:
        for tile in fleet_tiles(self._rows):
            button = self._tiles[tile.key]
            content = f"<b>{tile.count}</b><span>{escape(tile.label)}</span>"
            if button.content != content:
                button.set_content(content)
            pressed = "true" if tile.key == self._tile else "false"
            if button.props.get("aria-pressed") != pressed:
                button.props["aria-pressed"] = pressed
                button.update()
        self._table.show(rows_of_tile(self._rows, self._tile), total=len(self._rows))


def _tile_button(key: str) -> ui.html:
    return ui.html("", sanitize=False, tag="button").classes("tile").props(f'type="button" data-testid="tile-{key}"')
