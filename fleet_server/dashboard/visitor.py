"""Who looks at a page, and the cookie that says so.

The cookie holds a session token of the same kind as POST /api/v1/session gives out. Scripts cannot read it
(``HttpOnly``), it travels over TLS only (``Secure``, and the ``__Host-`` prefix pins it to this very host) and never
from another site's page (``SameSite=Strict``). The API itself takes no cookies, so no other site can act through it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import Response

from flota.api.models import Session

COOKIE = "__Host-flota-session"
THEME_COOKIE = "flota-theme"
VISITOR_KEY = "flota.visitor"


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in operator; ``may_change``: the role allows more than looking."""

    name: str
    role: str
    may_change: bool
    token: str


def visitor_of(connection: HTTPConnection) -> Visitor:
    """The visitor whom the guard let through."""
    visitor = connection.scope[VISITOR_KEY]
    assert isinstance(visitor, Visitor)
    return visitor


def theme_of(connection: HTTPConnection) -> bool | None:
    """Dark (True), light (False) or as the system has it (None)."""
    return {"dark": True, "light": False}.get(connection.cookies.get(THEME_COOKIE, ""))


def give_cookie(response: Response, session: Session) -> None:
    """Let the browser keep a session until it ends."""
    response.set_cookie(
        COOKIE,
        session.token,
        max_age=max(1, int(session.expires_at - time.time())),
        path="/",
        secure=True,
        httponly=True,
        samesite="strict",
    )


def take_cookie(response: Response) -> None:
    """Let the browser forget its session."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")


def same_origin(connection: HTTPConnection) -> bool:
    """Whether a request comes from a page of ours; browsers name the origin in all that can change something."""
    origin = connection.headers.get("origin")
    if origin is None:
        return connection.headers.get("sec-fetch-site", "none") in ("same-origin", "none")
    return urlsplit(origin).netloc == connection.headers.get("host", "")


def local_path(target: str) -> str:
    """``target`` if it is a path on this server, else the front page: nobody is sent elsewhere after signing in."""
    parts = urlsplit(target)
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if plain and not parts.scheme and not parts.netloc else "/"


def login_path(target: str) -> str:
    """Where to sign in, to come back to ``target``."""
    target = local_path(target)
    return "/login" if target == "/" else f"/login?to={quote(target, safe='')}"
