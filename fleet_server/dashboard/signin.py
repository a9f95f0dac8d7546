"""Signing in and out: two plain HTML forms, so that nobody without a session ever reaches NiceGUI or its socket."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from string import Template
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from fleet_server.dashboard.guard import HEADERS
from fleet_server.dashboard.source import FleetSource
from fleet_server.dashboard.visitor import COOKIE, give_cookie, local_path, same_origin, take_cookie, theme_of
from fleet_server.errors import Forbidden, ServerError

_PAGE = Template((Path(__file__).parent / "templates" / "login.html").read_text(encoding="utf-8"))
_NO_STORE = {**HEADERS, "cache-control": "no-store"}


def router(source: FleetSource, changed: Callable[[], None]) -> APIRouter:
    """The routes /login and /logout; ``changed`` is called when a session begins or ends."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/login")
    def _form(request: Request, to: Annotated[str, Query(max_length=2000)] = "/") -> Response:
        if source.visitor(request.cookies.get(COOKIE, "")):
            return RedirectResponse(local_path(to), 303, _NO_STORE)
        return _page(request, to=to)

    @routes.post("/login")
    def _sign_in(
        request: Request,
        username: Annotated[str, Form(max_length=64)],
        password: Annotated[str, Form(max_length=1024)],
        to: Annotated[str, Form(max_length=2000)] = "/",
    ) -> Response:
        try:
            _check_origin(request)
            session = source.sign_in(username, password, request.client.host if request.client else "")
        except ServerError as error:
            return _page(request, to=to, username=username, error=error)
        changed()
        response = RedirectResponse(local_path(to), 303, _NO_STORE)
        give_cookie(response, session)
        return response

    @routes.post("/logout")
    def _sign_out(request: Request) -> Response:
        response = RedirectResponse("/login", 303, _NO_STORE)
        if same_origin(request):
            source.sign_out(request.cookies.get(COOKIE, ""))
            changed()
            take_cookie(response)
        return response

    return routes


def _check_origin(request: Request) -> None:
    if not same_origin(request):
        raise Forbidden("the form was sent by another site", hint="open this page directly, then sign in")


def _page(request: Request, *, to: str, username: str = "", error: ServerError | None = None) -> HTMLResponse:
    dark = theme_of(request)
    problem = ""
    if error is not None:
        hint = f"<br>{escape(error.hint)}" if error.hint else ""
        problem = f'<div class="problem" role="alert">{escape(error.message)}{hint}</div>'
    content = _PAGE.substitute(
        theme="" if dark is None else f' data-theme="{"dark" if dark else "light"}"',
        host=escape(request.headers.get("host", "this server")),
        problem=problem,
        to=escape(local_path(to)),
        username=escape(username),
        focus_name="" if username else " autofocus",
        focus_password=" autofocus" if username else "",
    )
    return HTMLResponse(content, error.status if error else 200, _NO_STORE)
