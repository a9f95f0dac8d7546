"""Keep a board running for somebody else: a gateway agent that knows nothing but its serial URL."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from flota.files import write_atomic
from hil.boards.qemu import QemuBoard
from hil.errors import BoardFailed

_CHECK_INTERVAL_S = 0.2


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set. Call it before the board starts, so that no signal is missed."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop


def keep_running(board: QemuBoard, stop: threading.Event, *, port_file: Path | None = None) -> None:
    """Wait until ``stop`` is set, while the board runs. ``port_file`` holds its serial URL for that time.

    Raises:
        BoardFailed: The emulator ended by itself.
    """
    if port_file is not None:
        write_atomic(port_file, board.port.encode() + b"\n")
    try:
        while not stop.is_set():
            if board.wait(_CHECK_INTERVAL_S):
                raise BoardFailed(f"the emulator of {board.resource.name} ended: {board.last_words() or 'no message'}")
    finally:
        if port_file is not None:
            port_file.unlink(missing_ok=True)
