"""Calling a C compiler: one object for the cross-compiler's programs, clear errors when one is missing or fails."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flota.errors import FlotaError
from flota.programs import find_program, install_command

_TIMEOUT_S = 300

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")


class CompileError(FlotaError):
    """The C compiler or the linker refused the sources."""

    code = "toolchain.compile"


@dataclass(frozen=True, slots=True)
class Compiler:
    """The programs of one GCC.

    Attributes:
        prefix: ``"arm-none-eabi-"``, or empty for this machine's own compiler.
    """

    prefix: str = "arm-none-eabi-"

    def version(self) -> str:
        """The compiler's first version line.

        Raises:
            MissingTool: It is not installed.
        """
        return self.run("gcc", ["--version"], Path.cwd()).splitlines()[0]

    def run(self, tool: str, arguments: Sequence[str], folder: Path) -> str:
        """Run ``<prefix><tool>`` in ``folder`` and return its standard output.

        Raises:
            MissingTool: It is not installed.
            CompileError: It failed; the message is its first error line.
        """
        command = [find_program(self.prefix + tool), *arguments]
        try:
            result = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CompileError(f"{self.prefix}{tool} did not finish: {error}") from error
        if result.returncode != 0:
            raise CompileError(_first_error(result.stderr, folder) or f"{self.prefix}{tool} failed", hint=_HINT)
        return result.stdout


_HINT = f"if newlib is missing: {install_command('arm-none-eabi-gcc')}; else repair the named source line"


def _first_error(stderr: str, folder: Path) -> str:
    lines = [line.replace(f"{folder}/", "") for line in stderr.splitlines() if line.strip()]
    lines = [_LINKER.sub("ld: ", line) for line in lines if not line.startswith("collect2:")]
    telling = [line for line in lines if "error" in line or "undefined reference" in line or "overflowed" in line]
    return (telling or lines or [""])[0].strip()


_LINKER = re.compile(r"^\S*/ld(\.bfd)?: ")
