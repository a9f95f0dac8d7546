"""Telling systemd that we are up and well: datagrams to ``NOTIFY_SOCKET`` (sd_notify(3)); silent without one."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Watchdog:
    """``address``: of systemd's socket, empty without systemd. ``interval_s``: between two signs of life, 0: none."""

    address: str = ""
    interval_s: float = 0.0

    @classmethod
    def from_systemd(cls, notify_socket: str, watchdog_usec: str) -> Watchdog:
        """From the values of ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC``; a third of the limit is a safe interval."""
        return cls(notify_socket, int(watchdog_usec) / 3e6 if watchdog_usec.isdigit() else 0.0)

    def tell(self, message: str) -> None:
        """Send one message, such as ``READY=1``. Never fails: a lost datagram must not stop the agent."""
        if not self.address:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(message.encode(), address)
