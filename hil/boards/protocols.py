"""How a board is driven: small protocols, one per ability, so that a strategy asks for exactly what it needs."""

from __future__ import annotations

from typing import Protocol


class PowerProtocol(Protocol):
    """A board whose supply can be switched."""

    def start(self) -> None:
        """Switch on; does nothing when it is on."""
        ...

    def power_cut(self) -> None:
        """Take the supply away at once, in the middle of whatever the board is doing."""
        ...

    def restart(self) -> None:
        """Cut the power, then switch on again."""
        ...


class SerialProtocol(Protocol):
    """A board with a serial line to it."""

    @property
    def port(self) -> str:
        """The line's pyserial URL; the same over resets and power cuts."""
        ...


class McuProtocol(PowerProtocol, SerialProtocol, Protocol):
    """A microcontroller on the bench: power and a serial line."""
