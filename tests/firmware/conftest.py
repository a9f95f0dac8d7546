from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from firmware_helpers import Simulator, blank_flash

from flota.toolchain import build_firmware
from flota.toolchain.host import build_host

BUILD = Path(__file__).parents[2] / "build"


@pytest.fixture(scope="session")
def simulator_program() -> Path:
    return build_host("simulator", BUILD / "firmware-host")


@pytest.fixture(scope="session")
def codec_program() -> Path:
    return build_host("codec", BUILD / "firmware-host")


@pytest.fixture(scope="session")
def firmware_elf() -> Path:
    return build_firmware("qemu-mps2-an386", BUILD / "firmware" / "qemu-mps2-an386").elf


@pytest.fixture
def board(simulator_program: Path, tmp_path: Path) -> Iterator[Simulator]:
    """A provisioned simulated board, not started."""
    flash = tmp_path / "flash.bin"
    flash.write_bytes(blank_flash())
    simulator = Simulator(simulator_program, flash)
    yield simulator
    simulator.stop()
