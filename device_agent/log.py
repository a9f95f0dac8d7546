"""Logs: one line an entry on standard error, ``time level name message``, and the latest lines kept for diagnostics."""

from __future__ import annotations

import logging
import sys
import time
from collections import deque

KEPT_LINES = 200


class _OneLine(logging.Formatter):
    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\n", " | ")


class RecentLines(logging.Handler):
    """Keeps the latest lines in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """See :class:`logging.Handler`."""
        self._lines.append(self.format(record))

    def text(self, max_chars: int) -> str:
        """The end of the log, at most ``max_chars`` characters, whole lines only."""
        lines: list[str] = []
        for line in reversed(self._lines):
            max_chars -= len(line) + 1
            if max_chars < 0:
                break
            lines.append(line)
        return "\n".join(reversed(lines))


def set_up() -> RecentLines:
    """Send the agent's log to standard error; returns the handler that remembers it."""
    formatter = _OneLine("%(asctime)sZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    recent = RecentLines()
    root = logging.getLogger()
    for handler in (logging.StreamHandler(sys.stderr), recent):
        handler.setFormatter(formatter)
        root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("mqtt").setLevel(logging.CRITICAL)  # aiomqtt logs what it also raises
    return recent
