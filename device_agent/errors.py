"""Every error of the agent. The codes travel to operators in results and events, so they never change."""

from __future__ import annotations

from flota.errors import FlotaError


class AgentError(FlotaError):
    """Base of the agent's errors."""

    code = "agent.error"


class AlreadyRunning(AgentError):
    """Another agent process holds this folder."""

    code = "agent.already-running"


class NotEnrolled(AgentError):
    """The folder holds no enrolled agent."""

    code = "agent.not-enrolled"


class AlreadyEnrolled(AgentError):
    """The folder holds an enrolled agent already."""

    code = "agent.already-enrolled"


class EnrolmentFailed(AgentError):
    """The server could not be reached or refused the enrolment."""

    code = "agent.enrolment-failed"


class JournalError(AgentError):
    """The journal exists but cannot be read as one."""

    code = "journal.corrupt"


class SlotError(AgentError):
    """A slot does not hold what it should."""

    code = "slot.corrupt"


class DownloadError(AgentError):
    """The server does not hand out the bundle."""

    code = "download.failed"


class DownloadExpired(DownloadError):
    """The bundle could not be fetched before its assignment expired."""

    code = "download.expired"


class DiskFull(DownloadError):
    """There is no room for the bundle."""

    code = "download.disk-full"


class Unsuitable(AgentError):
    """Base of what is genuine but not for this device: it is refused."""

    code = "bundle.unsuitable"


class WrongTarget(Unsuitable):
    """The bundle is for another target or board."""

    code = "bundle.wrong-target"


class UnderFloor(Unsuitable):
    """The release is under the device's security floor."""

    code = "release.under-floor"


class SelfTestMismatch(AgentError):
    """A golden vector gave another output than it must."""

    code = "selftest.mismatch"


class BoardAbsent(AgentError):
    """The board does not answer on its serial link: unplugged, unpowered or the wrong port."""

    code = "board.absent"


class BoardFellBack(AgentError):
    """The board booted the other slot than the one it was told to: the image failed its self-test or crashed."""

    code = "selftest.fell-back"


class NoModel(AgentError):
    """There is no model to run."""

    code = "model.none"


class InvalidRequest(AgentError):
    """An inference request does not fit the model's signature."""

    code = "request.invalid"
