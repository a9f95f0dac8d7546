"""Errors of the HTTP client. What the server answered keeps the server's own code."""

from __future__ import annotations

from flota.errors import FlotaError


class ApiError(FlotaError):
    """Base of everything that goes wrong between a command and the fleet server."""

    code = "api.error"


class Unreachable(ApiError):
    """No answer: nothing listens there, the name is unknown, or time ran out."""

    code = "api.unreachable"


class Untrusted(ApiError):
    """The server's certificate is not of the CA we were given."""

    code = "api.untrusted"


class NotSignedIn(ApiError):
    """There is no stored session."""

    code = "api.not-signed-in"


class Garbled(ApiError):
    """Something answered, but not the fleet server's API."""

    code = "api.garbled"


class Refused(ApiError):
    """The server answered with an error document; ``code`` is the one it gave, ``status`` the HTTP status."""

    def __init__(self, message: str, *, code: str, status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.__dict__["code"] = code
        self.status = status


class Unauthorized(Refused):
    """The server does not know the credentials, or they do not allow this."""
