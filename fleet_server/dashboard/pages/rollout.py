"""/rollouts/{id} — one rollout, live: waves, gates, devices, what happened, and the buttons that steer it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from html import escape

from nicegui import ui
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request

from fleet_server.dashboard.cells import (
    Column,
    DataTable,
    Empty,
    facts,
    link,
    meter,
    moment,
    mono,
    tag,
    tag_html,
    time_html,
)
from fleet_server.dashboard.rollout_views import (
    MEMBER_TONES,
    ROLLOUT_TONES,
    gate_rows,
    member_row,
    timeline,
    wave_row,
)
from fleet_server.dashboard.shell import Context, Frame, heading, not_found, page
from fleet_server.dashboard.source import Act, RolloutRecord
from fleet_server.dashboard.views import NONE
from flota.api.models import MemberState, RolloutStatus, RolloutView
from flota.errors import FlotaError

_BAR = meter(("good", "good"), ("bad", "bad"), ("busy", "busy"), label="progress")
WAVES = (
    Column("index", "Wave", '<b>{{ props.row.label }}</b> <span class="muted">· {{ props.row.devices }}</span>'),
    Column("status", "Status", tag("status"), sortable=False),
    Column("good", "Progress", _BAR, sortable=False),
    Column("progress", "Devices", '<span class="number">{{ props.row.progress }}</span>', sortable=False),
    Column("rate", "Success rate", '<b class="number">{{ props.row.rate }}</b>', sortable=False, align="right"),
    Column("threshold", "Must be", sortable=False, align="right"),
    Column("verdict", "Gate", tag("verdict"), sortable=False),
)
GATES = (
    Column("name", "Gate", sortable=False),
    Column("value", "Value", '<b class="number">{{ props.row.value }}</b>', sortable=False),
    Column("threshold", "Must be", sortable=False),
    Column("verdict", "Verdict", tag("verdict"), sortable=False),
)
DEVICES = (
    Column("device", "Device", link("device", "/devices/")),
    Column("wave", "Wave", align="right"),
    Column("state", "State", tag("state", code="code")),
    Column("phase", "Phase"),
    Column("version", "Running", mono("version")),
    Column("before", "Before", mono("before")),
    Column("link", "Connection", tag("link")),
    Column("finished", "Done", '<time v-if="props.row.finished" :data-at="props.row.finished"></time>'),
    Column("detail", "Details", css="wrap", sortable=False),
)
MOMENTS = (
    Column("at", "When", moment("at"), sortable=False),
    Column("what", "What", tag("what", tone="tone"), sortable=False),
    Column("who", "Who", sortable=False),
    Column("detail", "Details", css="wrap", sortable=False),
)
FACTS = (
    ("Devices done", "rollout-done"),
    ("Begun", "rollout-begun"),
    ("Ended", "rollout-ended"),
    ("By", "rollout-by"),
    ("Probation", "rollout-probation"),
    ("Soak between waves", "rollout-soak"),
    ("A silent device fails after", "rollout-timeout"),
)
_ABORT = (
    "No further device gets this version. With the box ticked, every device that was moved goes back to what it ran "
    "before. This cannot be undone."
)


def register(context: Context) -> None:
    """Add the page."""

    @ui.page("/rollouts/{identity}")
    async def _rollout(request: Request, identity: int) -> None:
        key = ("rollout", identity)
        try:
            first = await context.feed.read(key, lambda: context.source.rollout(identity))
        except FlotaError as error:
            not_found(context, request, "Rollouts", error, "flota rollout list")
            return
        title = f"{first.view.model} {first.view.version}"
        with page(context, request, f"{title} · rollout {identity}", "Rollouts") as frame:
            view = _Rollout(frame, identity, title)
            view.look = await frame.follow(key, lambda: context.source.rollout(identity), view.show)


class _Rollout:
    """The page's parts. Built once; a new view only changes what they show."""

    def __init__(self, frame: Frame, identity: int, title: str) -> None:
        self.look: Callable[[], Awaitable[None]] = _nothing
        self._frame = frame
        self._identity = identity
        with ui.element("div").classes("head"):
            heading(f"{title} · rollout {identity}", crumb="Rollouts", crumb_path="/rollouts")
            self._status = ui.html("", sanitize=False).props('data-testid="status" role="status"')
            ui.element("div").classes("grow")
            self._buttons = self._build_buttons() if frame.visitor.may_change else {}
        self._reason = ui.html("", sanitize=False).classes("problem").props('data-testid="reason"')
        with ui.element("section").classes("panel"):
            self._set_facts = facts(FACTS)
        nothing = Empty("Nothing yet", "")
        _subheading("Waves")
        self._waves = DataTable(WAVES, key="index", empty=nothing, test_id="waves")
        with ui.element("div").classes("columns"):
            with ui.element("section"):
                _subheading("Gates")
                self._gates = DataTable(GATES, key="name", empty=nothing, test_id="gates")
            with ui.element("section"):
                _subheading("Devices by state")
                self._states = ui.html("", sanitize=False).classes("tiles").props('data-testid="states"')
        _subheading("Devices")
        self._devices = DataTable(DEVICES, key="device", empty=nothing, page_rows=50, test_id="members")
        _subheading("Timeline")
        self._moments = DataTable(MOMENTS, key="id", empty=nothing, page_rows=25, test_id="timeline")

    def show(self, record: RolloutRecord) -> None:
        """Show a view."""
        view = record.view
        moving = view.finished_at is not None and not view.settled
        note = '<span class="code">devices are still on their way</span>' if moving else ""
        _set(self._status, tag_html(view.status.value, ROLLOUT_TONES[view.status]) + note)
        _set(self._reason, escape(view.reason))
        self._reason.set_visibility(bool(view.reason))
        self._set_facts(_fact_values(view))
        self._waves.show([wave_row(wave, view.members) for wave in view.wave_views])
        self._gates.show(gate_rows(view))
        _set(self._states, _state_counts(view))
        self._devices.show([member_row(member) for member in view.members])
        self._moments.show(timeline(view, record.acts))
        for name, button in self._buttons.items():
            button.set_visibility(name in _allowed(view.status))

    def _build_buttons(self) -> dict[Act, ui.button]:
        pause = _Confirm("Pause this rollout?", "Devices on their way finish; no further device is assigned.", "Pause")
        resume = _Confirm("Resume this rollout?", "It goes on with the wave it stopped in.", "Resume")
        abort = _Confirm("Abort this rollout?", _ABORT, "Abort", choice="Take moved devices back")
        dialogs: dict[Act, _Confirm] = {"pause": pause, "resume": resume, "abort": abort}
        return {name: self._button(name, dialog) for name, dialog in dialogs.items()}

    def _button(self, name: Act, dialog: _Confirm) -> ui.button:
        async def _ask() -> None:
            chosen = await dialog.ask()
            if chosen is not None:
                await self._do(name, rollback=chosen)

        style = "act act-bad" if name == "abort" else "act act-plain"
        button = ui.button(name.capitalize(), on_click=_ask, color=None).classes(style)
        return button.props(f'flat no-caps data-testid="{name}"')

    async def _do(self, name: Act, *, rollback: bool) -> None:
        source, token = self._frame.context.source, self._frame.visitor.token
        try:
            await asyncio.to_thread(source.act, token, self._identity, name, rollback=rollback)
        except FlotaError as error:
            ui.notify(". ".join(part for part in (error.message, error.hint) if part), type="negative", timeout=8000)
        except SQLAlchemyError:
            ui.notify("The database does not answer; nothing was changed", type="negative", timeout=8000)
        self._frame.context.feed.forget()
        await self.look()


class _Confirm:
    """A dialog that says what will happen and asks for a yes; ``choice`` is a box to tick, ticked at first."""

    def __init__(self, question: str, consequence: str, verb: str, *, choice: str = "") -> None:
        with ui.dialog() as self._dialog, ui.card().classes("confirm"):
            ui.html(escape(question), sanitize=False, tag="h2")
            ui.html(escape(consequence), sanitize=False, tag="p")
            self._box = ui.checkbox(choice, value=True) if choice else None
            with ui.element("div").style("display: flex; gap: 10px; justify-content: flex-end; width: 100%"):
                no = ui.button("Cancel", on_click=lambda: self._dialog.submit(False), color=None)
                no.classes("act act-plain").props("flat no-caps autofocus")
                yes = ui.button(verb, on_click=lambda: self._dialog.submit(True), color=None)
                yes.classes("act act-bad" if choice else "act act-plain").props('flat no-caps data-testid="confirm"')

    async def ask(self) -> bool | None:
        """None: no. Else yes, and whether the box is ticked."""
        if not await self._dialog:
            return None
        return self._box.value if self._box else True


def _allowed(status: RolloutStatus) -> tuple[Act, ...]:
    if status is RolloutStatus.RUNNING:
        return ("pause", "abort")
    return ("resume", "abort") if status is RolloutStatus.PAUSED else ()


def _fact_values(view: RolloutView) -> list[str]:
    return [
        f'<b class="number">{view.succeeded}</b> of {view.devices}, {view.failed} failed',
        time_html(view.created_at),
        time_html(view.finished_at) if view.finished_at else NONE,
        escape(view.created_by),
        f"{view.probation_s:g} s, at least {view.limits.min_inferences} inferences",
        f"{view.wave_soak_s:g} s",
        f"{view.timeout_s:g} s",
    ]


def _state_counts(view: RolloutView) -> str:
    counts = {state: sum(member.state is state for member in view.members) for state in MemberState}
    shown = [(state, count) for state, count in counts.items() if count]
    return "".join(
        f'<div class="tile" style="cursor: default" data-state="{state.value}"><b>{count}</b>'
        f"{tag_html(state.value, MEMBER_TONES[state])}</div>"
        for state, count in shown
    )


def _set(element: ui.html, content: str) -> None:
    if element.content != content:
        element.set_content(content)


async def _nothing() -> None:
    """What a page looks at before it follows anything."""


def _subheading(text: str) -> None:
    ui.html(escape(text), sanitize=False, tag="h2")
