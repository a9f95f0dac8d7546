"""What can go wrong on the board link."""

from __future__ import annotations

from flota.boardlink.protocol import STATUS_CODES, Command, Status
from flota.errors import FlotaError


class BoardLinkError(FlotaError):
    """Base of all errors of the board link; ``code`` is an instance attribute where the board refused."""

    code = "link.error"


class PortUnavailable(BoardLinkError):
    """The serial port cannot be opened, or went away."""

    code = "link.port"


class LinkTimeout(BoardLinkError):
    """The board did not answer in time."""

    code = "link.timeout"


class GarbledFrame(BoardLinkError):
    """Bytes on the line that are no frame."""

    code = "link.garbled"


class BoardRefused(BoardLinkError):
    """The board answered with a status other than OK; ``code`` and ``status`` say which."""

    def __init__(self, command: Command, status: Status) -> None:
        code, text = STATUS_CODES[status]
        super().__init__(f"the board refused {command.name}: {text}", hint=_HINTS.get(status, ""))
        self.status = status
        self.code = code  # type: ignore[misc]  # each refusal has the name of its status


_HINTS: dict[Status, str] = {
    Status.IMAGE_BAD_SIGNATURE: "sign the image with the key that the board was provisioned for",
    Status.IMAGE_WRONG_BOARD: "take the image of this board from the bundle",
    Status.IMAGE_WRONG_SLOT: "take the image of the other slot from the bundle",
    Status.IMAGE_UNDER_FLOOR: "install a release whose security floor is not below the board's",
    Status.IMAGE_ARENA: "make the model smaller, or raise arena_bytes in the firmware's board.toml",
    Status.NO_PUBLIC_KEY: "provision the board: flota board run --provision PUBKEY.pem",
    Status.NO_MODEL: "install an image and activate it",
    Status.SLOT_FALLBACK: "confirm the running image or roll it back first",
    Status.UNKNOWN_COMMAND: "update the board's firmware",
}
