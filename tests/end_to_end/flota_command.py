"""Runs ``flota`` as a user does, and reads its error as the user sees it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flota.demo.processes import flota_command

_ERROR = re.compile(r"error: (?P<message>.+) \((?P<code>[a-z0-9_.-]+)\)")


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended. ``lines`` are those of standard error that are not empty."""

    exit_code: int
    output: str
    lines: tuple[str, ...]

    @property
    def message(self) -> str:
        return self._error["message"]

    @property
    def code(self) -> str:
        """The error's code; anything but one error line and at most one hint line is a failure of the test."""
        return self._error["code"]

    @property
    def hint(self) -> str:
        assert self.lines[-1].startswith("hint: "), self.lines
        return self.lines[-1].removeprefix("hint: ")

    @property
    def _error(self) -> re.Match[str]:
        assert self.exit_code != 0, self
        assert not self.output, self.output
        assert 1 <= len(self.lines) <= 2, self.lines
        found = _ERROR.fullmatch(self.lines[0])
        assert found, self.lines
        return found


def flota(
    *arguments: str, stdin: str = "", cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> Answer:
    """Run one command to its end, with ``environment`` on top of ours."""
    done = subprocess.run(
        flota_command(arguments),
        input=stdin.encode(),
        capture_output=True,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        timeout=240,
    )
    lines = tuple(line for line in done.stderr.decode().splitlines() if line.strip())
    return Answer(done.returncode, done.stdout.decode(), lines)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` with its bytes, and every folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}
