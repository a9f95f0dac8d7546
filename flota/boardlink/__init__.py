"""The board link: one framed serial protocol between a host and a microcontroller.

:mod:`protocol` declares the constants and records, :mod:`frames` packs them for the line, :mod:`client` is the host's
end; the board's end is ``firmware/src/link.c``, built from the same declarations.
"""

from flota.boardlink.client import BoardInfo, BoardLink, BoardStats, InferResult, SlotInfo
from flota.boardlink.errors import BoardLinkError, BoardRefused, GarbledFrame, LinkTimeout, PortUnavailable
from flota.boardlink.protocol import ResetCause, SlotState, Status, Verdict

__all__ = [
    "BoardInfo",
    "BoardLink",
    "BoardLinkError",
    "BoardRefused",
    "BoardStats",
    "GarbledFrame",
    "InferResult",
    "LinkTimeout",
    "PortUnavailable",
    "ResetCause",
    "SlotInfo",
    "SlotState",
    "Status",
    "Verdict",
]
