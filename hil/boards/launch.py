"""Start a program that the kernel kills when this process dies (see :mod:`hil.boards.leash`)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import IO

from hil.boards import leash


@cache
def _launcher(process_id: int) -> ThreadPoolExecutor:
    """The thread that starts programs, one for each process: a forked one has none of its parent's threads.

    The kernel's parent-death signal follows the *thread* that forked; this one lives as long as the process.
    """
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="board-launcher")


def start_leashed(
    command: Sequence[str], *, log: IO[bytes], fds: tuple[int, ...] = (), folder: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start ``command``, its output in ``log``, in a session of its own.

    Args:
        command: Full path of the program, then its arguments.
        log: Where standard output and error go.
        fds: Descriptors it inherits.
        folder: Its working folder; ours when None.
    """
    return _launcher(os.getpid()).submit(_launch, command, log, fds, folder).result()


def _launch(
    command: Sequence[str], log: IO[bytes], fds: tuple[int, ...], folder: Path | None
) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), *command]
    return subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=fds, cwd=folder, start_new_session=True
    )
