"""Every error of the fleet server; ``status`` is the HTTP status it is answered with."""

from __future__ import annotations

from typing import ClassVar

from flota.errors import FlotaError


class ServerError(FlotaError):
    """Base of the server's errors."""

    code = "server.error"
    status: ClassVar[int] = 500


class ServerExists(ServerError):
    """There is a server (or something else) in the folder already."""

    code = "server.exists"


class NoServer(ServerError):
    """The folder holds no server, or a damaged one."""

    code = "server.not-found"


class PortInUse(ServerError):
    """Another program listens on a port we were told to use."""

    code = "server.port-in-use"


class AlreadyRunning(ServerError):
    """A server runs in this folder already."""

    code = "server.running"


class BrokerFailed(ServerError):
    """Mosquitto does not start, or is not reachable."""

    code = "broker.failed"
    status = 503


class DatabaseFailed(ServerError):
    """The database cannot be opened or migrated."""

    code = "database.failed"


class NotFound(ServerError):
    """There is no such device, group, release, rollout or user."""

    code = "not-found"
    status = 404


class Conflict(ServerError):
    """The request does not fit the state things are in."""

    code = "conflict"
    status = 409


class DeviceExists(Conflict):
    """The name is taken."""

    code = "device.exists"


class DeviceRevoked(Conflict):
    """The device was revoked."""

    code = "device.revoked"


class UserExists(Conflict):
    """The name is taken."""

    code = "user.exists"


class RolloutBusy(Conflict):
    """A device is in another rollout that is not over."""

    code = "rollout.busy"


class RolloutRefused(Conflict):
    """The rollout cannot be made as asked."""

    code = "rollout.refused"


class RolloutState(Conflict):
    """The rollout's status does not allow this."""

    code = "rollout.state"


class Unauthenticated(ServerError):
    """No credentials, or credentials that are not (or no longer) valid."""

    code = "api.unauthorized"
    status = 401


class WrongPassword(Unauthenticated):
    """The name and password do not belong together; which of them is wrong is not told."""

    code = "session.wrong-password"


class Throttled(ServerError):
    """Too many failed sign-ins."""

    code = "session.throttled"
    status = 429


class Forbidden(ServerError):
    """The account's role does not allow this."""

    code = "api.forbidden"
    status = 403


class CertificateRefused(Forbidden):
    """A device's certificate was revoked, or replaced by a later enrolment."""

    code = "device.revoked"


class TokenRefused(ServerError):
    """An enrolment token is unknown, used or too old."""

    code = "enrol.token-refused"
    status = 403


class TokenExpired(TokenRefused):
    """The enrolment token is past its expiry."""

    code = "enrol.token-expired"


class TokenUsed(TokenRefused):
    """The enrolment token was used already."""

    code = "enrol.token-used"


class NotAnsweringDevice(ServerError):
    """A device did not answer a command in time."""

    code = "device.no-answer"
    status = 504


class UploadTooLarge(ServerError):
    """An upload is over the configured limit."""

    code = "release.too-large"
    status = 413
