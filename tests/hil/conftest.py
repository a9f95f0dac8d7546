"""Fixtures of the bench tests: a tiny firmware to drive boards with, the real firmware, the models."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ECHO_SOURCE = Path(__file__).parent / "boards" / "echo.c"


@pytest.fixture(scope="session")
def echo_elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The echo firmware of ``boards/echo.c``, compiled."""
    compiler = shutil.which("arm-none-eabi-gcc")
    if compiler is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    elf = tmp_path_factory.mktemp("echo") / "echo.elf"
    flags = ["-mcpu=cortex-m4", "-mthumb", "-O1", "-ffreestanding", "-nostdlib", "-Wall", "-Wextra", "-Werror"]
    layout = ["-Wl,--section-start=.vectors=0x0", "-Wl,-Ttext=0x100", "-Wl,-e,reset_handler"]
    subprocess.run([compiler, *flags, *layout, str(ECHO_SOURCE), "-o", str(elf)], check=True)
    return elf
