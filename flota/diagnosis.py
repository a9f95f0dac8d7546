"""What ``flota doctor`` looks at: the Python packages and the programs each part needs."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
from dataclasses import dataclass

from flota.programs import install_command, look_for

_VERSION_DEADLINE_S = 10.0
OLDEST_PYTHON = (3, 10)
NEWEST_PYTHON = (3, 13)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked for. ``version`` is empty when it was not found; ``install`` is a shell command."""

    name: str
    needed_for: str
    found: bool
    version: str
    install: str


@dataclass(frozen=True, slots=True)
class _Program:
    name: str
    needed_for: str
    version_option: str = "--version"


_PROGRAMS = (
    _Program("gcc", "host board, modelled cycles, firmware unit tests"),
    _Program("arm-none-eabi-gcc", "microcontroller images"),
    _Program("qemu-system-arm", "emulated boards"),
    _Program("mosquitto", "fleet server (MQTT broker)", "-h"),
    _Program("chromium", "dashboard tests"),
)

_PACKAGES = (
    ("tensorflow-cpu", "optimize"),
    ("tflite-micro", "optimize"),
    ("ai-edge-litert", "agent"),
    ("aiomqtt", "agent"),
    ("fastapi", "server"),
    ("nicegui", "server"),
    ("pytest", "dev"),
)


def diagnose() -> tuple[Finding, ...]:
    """Look for everything, in the order a newcomer needs it."""
    programs = tuple(_look_for_program(program) for program in _PROGRAMS)
    packages = tuple(_look_for_package(name, extra) for name, extra in _PACKAGES)
    return (_look_at_python(), *packages, *programs)


def _look_at_python() -> Finding:
    supported = OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON
    wanted = f"{'.'.join(map(str, OLDEST_PYTHON))} to {'.'.join(map(str, NEWEST_PYTHON))}"
    return Finding(f"Python {wanted}", "everything", supported, platform.python_version(), "apt-get install python3")


def _look_for_package(name: str, extra: str) -> Finding:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        version = ""
    return Finding(name, f"flota[{extra}]", bool(version), version, f"pip install 'flota[{extra}]'")


def _look_for_program(program: _Program) -> Finding:
    path = look_for(program.name)
    version = _version_of(path, program.version_option) if path else ""
    return Finding(program.name, program.needed_for, path is not None, version, install_command(program.name))


def _version_of(path: str, option: str) -> str:
    """The first line a program prints of itself; empty when it prints none in time."""
    try:
        done = subprocess.run(
            [path, option], capture_output=True, text=True, timeout=_VERSION_DEADLINE_S, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines else ""
