"""The programs of other people that Flota runs: where they are, and the command that installs a missing one."""

from __future__ import annotations

import os
import shutil

from flota.errors import MissingTool

_ADMIN_FOLDERS = ("/usr/sbin", "/usr/local/sbin")  # where Debian puts Mosquitto, outside a user's PATH
_PACKAGES = {
    "arm-none-eabi-": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "gcc": "gcc libc6-dev",
}


def look_for(name: str) -> str | None:
    """The full path of a program on PATH or in an administrator's folder; None when it is not installed."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *_ADMIN_FOLDERS]))


def find_program(name: str) -> str:
    """The full path of a program.

    Raises:
        MissingTool: It is not installed; the hint is the command that installs it.
    """
    found = look_for(name)
    if found is None:
        raise MissingTool(f"{name} is not installed", hint=install_command(name))
    return found


def install_command(name: str) -> str:
    """What installs a program on Debian or Ubuntu; most packages have their program's name."""
    packages = next((packages for prefix, packages in _PACKAGES.items() if name.startswith(prefix)), name)
    return f"apt-get install {packages}"
