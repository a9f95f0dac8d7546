"""Fixtures of the bench tests: a tiny firmware to drive boards with, the real firmware, the models."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from flota.toolchain import FirmwareBuild, build_firmware

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


@pytest.fixture(scope="session")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> FirmwareBuild:
    """The real base firmware of the emulated board."""
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    return build_firmware("qemu-mps2-an386", tmp_path_factory.mktemp("firmware"))
