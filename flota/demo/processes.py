"""The child processes of a demo: started in their own session, logged to files, stopped by id.

Their ids and start times are written to ``processes.json`` in the demo's folder, so that ``flota demo --stop`` can end
exactly those processes later, and never a stranger that got the same id.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flota.errors import FlotaError
from flota.files import write_atomic

_POLL_S = 0.05
_STOP_S = 10.0
_LOG_TAIL_LINES = 5


class DemoError(FlotaError):
    """A step of the demo failed."""

    code = "demo.failed"


@dataclass(frozen=True, slots=True)
class Child:
    """One running process of the demo."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


@dataclass(slots=True)
class Children:
    """Starts, watches and stops the demo's processes; ``folder`` holds their logs and ``processes.json``."""

    folder: Path
    _running: list[Child] = field(default_factory=list)

    def start(self, name: str, arguments: Sequence[str]) -> Child:
        """Start ``flota ARGUMENTS`` in the background, its output in ``logs/NAME.log``."""
        log = self.folder / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stream:
            process = subprocess.Popen(
                flota_command(arguments),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        child = Child(name, process, log)
        self._running.append(child)
        self._remember()
        return child

    def stop(self) -> None:
        """End every process, the last started first: SIGTERM, and SIGKILL for what is left after ten seconds."""
        for child in reversed(self._running):
            child.process.terminate()
        for child in reversed(self._running):
            try:
                child.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        self._running.clear()
        self._remember()

    def check(self) -> None:
        """Raise DemoError, with the end of its log, if a process has ended on its own."""
        for child in self._running:
            code = child.process.poll()
            if code is not None:
                raise DemoError(
                    f"{child.name} ended with exit code {code}: {log_tail(child.log)}", hint=f"see {child.log}"
                )

    def wait_for(self, what: str, ready: Callable[[], bool], timeout_s: float) -> None:
        """Poll ``ready`` until it holds.

        Raises:
            DemoError: It did not within ``timeout_s``, or a process ended meanwhile.
        """
        deadline = time.monotonic() + timeout_s
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(
                    f"{what}: not there after {timeout_s:.0f} s", hint=f"see the logs in {self.folder / 'logs'}"
                )
            time.sleep(_POLL_S)

    def _remember(self) -> None:
        rows = [{"name": c.name, "pid": c.process.pid, "started": started_at(c.process.pid)} for c in self._running]
        write_atomic(self.folder / "processes.json", json.dumps(rows, indent=1).encode())


def flota_command(arguments: Sequence[str]) -> list[str]:
    """The command line of ``flota ARGUMENTS`` with this interpreter."""
    return [sys.executable, "-m", "flota", *arguments]


def run_flota(arguments: Sequence[str], log: Path, *, stdin: str = "") -> str:
    """Run ``flota ARGUMENTS`` to its end and return its standard output; errors and progress go to ``log``.

    Raises:
        DemoError: It ended with another exit code than 0.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        done = subprocess.run(flota_command(arguments), input=stdin.encode(), stdout=subprocess.PIPE, stderr=stream)
    if done.returncode:
        raise DemoError(
            f"flota {' '.join(arguments[:2])} ended with {done.returncode}: {log_tail(log)}", hint=f"see {log}"
        )
    return done.stdout.decode()


def stop_recorded(folder: Path) -> list[str]:
    """End what an earlier ``flota demo --keep`` left running in ``folder``; return the names of what was ended.

    Raises:
        DemoError: The folder is not one of a demo.
    """
    record = folder / "processes.json"
    try:
        rows = json.loads(record.read_bytes())
    except (OSError, ValueError) as error:
        raise DemoError(f"{folder} holds no demo", hint="give the folder that `flota demo --keep` printed") from error
    alive = [row for row in reversed(rows) if started_at(row["pid"]) == row["started"]]
    for row in alive:
        os.kill(row["pid"], signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    while any(started_at(row["pid"]) == row["started"] for row in alive):
        if time.monotonic() > deadline:
            raise DemoError(f"processes of {folder} are still running", hint=f"see {record} for their ids")
        time.sleep(_POLL_S)
    write_atomic(record, b"[]")
    return [row["name"] for row in alive]


def started_at(pid: int) -> int | None:
    """The start time of a process in clock ticks since boot; None where there is no such process, or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def log_tail(log: Path) -> str:
    """The last lines of a log, on one line."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return "no log"
    return " | ".join(lines[-_LOG_TAIL_LINES:])
