"""Run a program that the kernel kills when its parent dies: ``python leash.py PARENT_PID PROGRAM ARGUMENT…``.

A board that outlives a crashed bench would keep its flash file and its port. ``PR_SET_PDEATHSIG`` (prctl(2)) has the
kernel send the signal even when the parent was killed with SIGKILL; the setting survives ``execve``. It is set here, in
a process of its own, and not between fork and exec in the parent, which may have other threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Tie this process to its parent, then become the program."""
    parent, command = int(arguments[0]), arguments[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit("the parent has gone before the program started")
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
