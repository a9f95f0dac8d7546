"""What native code (TensorFlow, LiteRT, TFLM) writes to standard error behind Python's back."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

_STDERR = 2


@dataclass(slots=True)
class CapturedText:
    """The text that was written; empty until the block has ended."""

    text: str = ""


@contextlib.contextmanager
def captured_stderr() -> Iterator[CapturedText]:
    """Catch everything the process writes to file descriptor 2 while the block runs, from C code too.

    Whole-process: threads that write meanwhile are caught as well, so keep the block short.
    """
    captured = CapturedText()
    sys.stderr.flush()
    saved = os.dup(_STDERR)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), _STDERR)
        try:
            yield captured
        finally:
            sys.stderr.flush()
            os.dup2(saved, _STDERR)
            os.close(saved)
            sink.seek(0)
            captured.text = sink.read().decode(errors="replace")
