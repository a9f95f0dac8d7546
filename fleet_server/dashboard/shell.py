"""What every page has in common: the bar at the top, the theme, the sign of life, and following a view live."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator
from dataclasses import dataclass
from html import escape
from typing import TypeVar

from nicegui import ui
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request

from fleet_server.dashboard.feed import Feed
from fleet_server.dashboard.source import FleetSource
from fleet_server.dashboard.visitor import Visitor, login_path, theme_of, visitor_of
from flota.errors import FlotaError

T = TypeVar("T")
PERIOD_S = 0.8
"""How often a page asks for its view; with the feed's sharing no answer is older than a second or so."""
SECTIONS = (("Fleet", "/"), ("Rollouts", "/rollouts"), ("Releases", "/releases"), ("Audit log", "/audit"))
_THEME_NAMES: dict[bool | None, str] = {None: "auto", True: "dark", False: "light"}


@dataclass(frozen=True, slots=True)
class Context:
    """What pages are built from: the fleet and the shared poll."""

    source: FleetSource
    feed: Feed
    asset_version: str

    async def visitor(self, token: str) -> Visitor | None:
        """Whose session a token is; asked at most once per poll."""
        return await self.feed.read(("visitor", token), lambda: self.source.visitor(token)) if token else None


class Frame:
    """One open page: who looks at it, and the sign that tells whether what it shows is fresh."""

    def __init__(self, context: Context, request: Request, sign: ui.label) -> None:
        self.context = context
        self.visitor = visitor_of(request)
        self._path = request.url.path
        self._sign = sign

    async def follow(
        self, key: Hashable, load: Callable[[], T], render: Callable[[T], None]
    ) -> Callable[[], Awaitable[None]]:
        """Render what ``load`` answers, now and whenever it changes; the function returned looks again at once.

        Raises:
            FlotaError: ``load`` fails at the first time; later failures turn the sign to stale instead.
        """
        shown = await self.context.feed.read(key, load)
        render(shown)

        async def _look() -> None:
            nonlocal shown
            if await self._signed_out():
                return
            try:
                view = await self.context.feed.read(key, load)
            except (FlotaError, SQLAlchemyError) as error:
                self._stale(error)
                return
            self._fresh()
            if view != shown:
                shown = view
                render(view)

        ui.timer(PERIOD_S, _look, immediate=False)
        return _look

    async def _signed_out(self) -> bool:
        try:
            visitor = await self.context.visitor(self.visitor.token)
        except SQLAlchemyError as error:
            self._stale(error)
            return True
        if visitor is None:
            ui.navigate.to(login_path(self._path))
        return visitor is None

    def _stale(self, error: Exception) -> None:
        text = error.message if isinstance(error, FlotaError) else "the database does not answer"
        self._sign.set_text("not live")
        self._sign.classes(add="stale").props["title"] = text
        self._sign.update()

    def _fresh(self) -> None:
        if self._sign.text != "live":
            self._sign.set_text("live")
            self._sign.classes(remove="stale").props(remove="title")


@contextlib.contextmanager
def page(context: Context, request: Request, title: str, section: str) -> Iterator[Frame]:
    """The frame of a page: what is built inside the block is the page's content."""
    visitor = visitor_of(request)
    dark = theme_of(request)
    ui.page_title(f"{title} · Flota")
    ui.add_head_html(_head(context.asset_version, dark))
    with ui.element("header").classes("bar-top"):
        ui.html(_navigation(section), sanitize=False).classes("bar-left")
        ui.element("div").classes("grow")
        sign = ui.label("live").classes("live").props('role="status" data-testid="live"')
        _theme_button(dark)
        ui.html(_account(visitor), sanitize=False).classes("bar-right")
    with ui.element("main").classes("page"):
        yield Frame(context, request, sign)


def _head(version: str, dark: bool | None) -> str:
    # the blank page before the first paint already has the theme's colour
    scheme = "light dark" if dark is None else ("dark" if dark else "light")
    return (
        f"<style>html {{ color-scheme: {scheme}; }}</style>"
        f'<link rel="stylesheet" href="/_flota/dashboard.css?v={version}">'
        f'<script src="/_flota/dashboard.js?v={version}" data-now="{time.time():.3f}"></script>'
    )


def _navigation(section: str) -> str:
    links = "".join(
        f'<a href="{path}"{" aria-current=page" if name == section else ""}>{name}</a>' for name, path in SECTIONS
    )
    return f'<a class="brand" href="/">flota</a><nav aria-label="Sections">{links}</nav>'


def _theme_button(dark: bool | None) -> None:
    """Goes from automatic to dark to light colours and back; the server must know, or its next update would undo it."""
    mode = ui.dark_mode(dark)

    def _turn() -> None:
        themes = list(_THEME_NAMES)
        mode.value = themes[(themes.index(mode.value) + 1) % len(themes)]
        button.set_content(_theme_label(mode.value))
        ui.run_javascript(f"flotaTheme('{_THEME_NAMES[mode.value]}')")

    button = ui.html(_theme_label(dark), sanitize=False, tag="button").classes("plain").on("click", _turn)
    button.props('type="button" title="Colours: auto, dark or light" data-testid="theme"')


def _theme_label(dark: bool | None) -> str:
    return f"◐ {_THEME_NAMES[dark]}"


def _account(visitor: Visitor) -> str:
    return (
        f'<div class="who"><b data-testid="user">{escape(visitor.name)}</b><br>'
        f'<span class="muted">{escape(visitor.role)}</span></div>'
        '<form method="post" action="/logout"><button class="plain" type="submit">Sign out</button></form>'
    )


def heading(title: str, *, crumb: str = "", crumb_path: str = "") -> None:
    """The page's heading, below ``crumb``: the list it belongs to."""
    trail = f'<a class="crumb" href="{crumb_path}">{escape(crumb)}</a> <span class="crumb">/</span> ' if crumb else ""
    ui.html(f"{trail}{escape(title)}", sanitize=False, tag="h1")


def not_found(context: Context, request: Request, section: str, error: FlotaError, command: str) -> None:
    """The page for something that is not there: what, and the command that lists what is."""
    ui.context.client.status_code = 404
    with page(context, request, "Not found", section):
        heading("Not found")
        hint = f"<br>{escape(error.hint)}" if error.hint else ""
        text = f"<b>{escape(error.message)}</b>{hint}<br><pre>{escape(command)}</pre>"
        ui.html(text, sanitize=False).classes("empty").style("margin-top: 14px")
