"""Calling a C compiler: one object for the cross-compiler's programs, clear errors when one is missing or fails."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flota.errors import FlotaError, MissingTool

_PACKAGES = {
    "arm-none-eabi-": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
    "gcc": "gcc libc6-dev",
}
_TIMEOUT_S = 300

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")


class CompileError(FlotaError):
    """The C compiler or the linker refused the sources."""

    code = "toolchain.compile"


def find_tool(name: str) -> str:
    """The full path of a program of the toolchain.

    Raises:
        MissingTool: It is not installed; the hint is the command that installs it.
    """
    found = shutil.which(name)
    if found is None:
        package = next((packages for prefix, packages in _PACKAGES.items() if name.startswith(prefix)), name)
        raise MissingTool(f"{name} is not installed", hint=f"apt-get install {package}")
    return found


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
        command = [find_tool(self.prefix + tool), *arguments]
        try:
            result = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CompileError(f"{self.prefix}{tool} did not finish: {error}") from error
        if result.returncode != 0:
            raise CompileError(_first_error(result.stderr, folder) or f"{self.prefix}{tool} failed", hint=_HINT)
        return result.stdout


_HINT = "if newlib is missing: apt-get install libnewlib-arm-none-eabi; else repair the named source line"


def _first_error(stderr: str, folder: Path) -> str:
    lines = [line.replace(f"{folder}/", "") for line in stderr.splitlines() if line.strip()]
    lines = [_LINKER.sub("ld: ", line) for line in lines if not line.startswith("collect2:")]
    telling = [line for line in lines if "error" in line or "undefined reference" in line or "overflowed" in line]
    return (telling or lines or [""])[0].strip()


_LINKER = re.compile(r"^\S*/ld(\.bfd)?: ")
