"""The little of QEMU's machine protocol (QMP, one JSON object a line) that a board driver needs."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from hil.errors import BoardFailed


class QmpMonitor:
    """A QMP session over a connected socket. Every read has a deadline.

    Raises (all methods):
        BoardFailed: QEMU closed the connection, answered with an error, or said nothing in time.
    """

    def __init__(self, connection: socket.socket, *, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._buffer = b""

    def handshake(self) -> None:
        """Wait for the greeting, which QEMU sends once the machine is built, and leave negotiation mode."""
        self._read(time.monotonic() + self._timeout_s, "QMP")
        self.execute("qmp_capabilities")

    def execute(self, command: str) -> None:
        """Run a command without arguments and wait until QEMU has done it; events in between are dropped."""
        deadline = time.monotonic() + self._timeout_s
        try:
            self._connection.sendall(json.dumps({"execute": command}).encode() + b"\n")
        except OSError as error:
            raise BoardFailed(f"QEMU has gone ({error.strerror})") from error
        self._read(deadline, "return")

    def close(self) -> None:
        """Close the connection; QEMU goes on."""
        self._connection.close()

    def _read(self, deadline: float, key: str) -> None:
        while True:
            message = self._message(deadline)
            if key in message:
                return
            if "error" in message:
                raise BoardFailed(f"QEMU refused a command: {message['error'].get('desc', message['error'])}")

    def _message(self, deadline: float) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            self._connection.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                piece = self._connection.recv(65536)
            except TimeoutError as error:
                raise BoardFailed(f"QEMU did not answer within {self._timeout_s:g} s") from error
            except OSError as error:
                raise BoardFailed(f"QEMU has gone ({error.strerror})") from error
            if not piece:
                raise BoardFailed("QEMU stopped before it answered")
            self._buffer += piece
        line, self._buffer = self._buffer.split(b"\n", 1)
        try:
            message = json.loads(line)
        except ValueError as error:
            raise BoardFailed(f"QEMU sent a line that is not JSON: {line[:80]!r}") from error
        if not isinstance(message, dict):
            raise BoardFailed(f"QEMU sent something that is no object: {line[:80]!r}")
        return message
