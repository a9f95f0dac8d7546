"""The gate in front of every page, script and socket of the dashboard: no session, no answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fleet_server.dashboard.visitor import COOKIE, VISITOR_KEY, Visitor, login_path, same_origin
from flota.api.models import API

_REFUSED_SOCKET = 4401
HEADERS = {
    # NiceGUI compiles its templates in the browser and starts from inline scripts; everything else stays closed.
    "content-security-policy": (
        "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

Recognize = Callable[[str], Awaitable[Visitor | None]]


class Guard:
    """ASGI middleware that lets signed-in operators through and sends everybody else to /login.

    Args:
        app: What is guarded.
        recognize: From a session token to its visitor; None where the token is nobody's.
    """

    def __init__(self, app: ASGIApp, recognize: Recognize) -> None:
        self._app = app
        self._recognize = recognize

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        if connection.url.path.startswith(f"{API.rsplit('/', 1)[0]}/"):
            await _no_such_call(connection)(scope, receive, send)
            return
        visitor = await self._recognize(connection.cookies.get(COOKIE, ""))
        if visitor is None or (scope["type"] == "websocket" and not same_origin(connection)):
            await self._refuse(connection, receive, send)
            return
        await self._serve({**scope, VISITOR_KEY: visitor}, receive, with_headers(send))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = False

        async def _watched() -> Message:
            nonlocal gone
            message = await receive()
            gone = gone or message["type"] == "http.disconnect"
            return message

        try:
            await self._app(scope, _watched, send)
        except RuntimeError:
            # Starlette's middleware has no answer left to give when the browser went away: nothing is wrong then
            if not gone:
                raise

    async def _refuse(self, connection: HTTPConnection, receive: Receive, send: Send) -> None:
        if connection.scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _REFUSED_SOCKET})
            return
        await _refusal(connection)(connection.scope, receive, with_headers(send))


def _no_such_call(connection: HTTPConnection) -> Response:
    """What no route of the API took, so that no client ever gets a page where it expects a document."""
    message = f"{connection.scope.get('method', 'WEBSOCKET')} {connection.url.path}: there is no such call"
    return JSONResponse({"code": "http.not-found", "message": message, "hint": f"see {API}/openapi.json"}, 404)


def _refusal(connection: HTTPConnection) -> Response:
    wants_page = connection.scope["method"] == "GET" and "text/html" in connection.headers.get("accept", "")
    if wants_page:
        query = connection.url.query
        target = connection.url.path + (f"?{query}" if query else "")
        return RedirectResponse(login_path(target), 303, {"cache-control": "no-store"})
    problem = {"code": "api.unauthorized", "message": "sign in first", "hint": "open /login"}
    return JSONResponse(problem, 401, {"cache-control": "no-store"})


def with_headers(send: Send) -> Send:
    """``send``, with the dashboard's security headers on every response."""

    async def _send(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return _send
