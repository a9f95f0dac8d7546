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


@pytest.fixture
def board_name(request: pytest.FixtureRequest) -> str:
    """The emulated board of a test; another one where the test is parametrized with it."""
    return str(getattr(request, "param", "qemu-mps2-an386"))


@pytest.fixture
def firmware_elf(board_name: str) -> Path:
    return build_firmware(board_name, BUILD / "firmware" / board_name).elf


@pytest.fixture
def board(simulator_program: Path, tmp_path: Path) -> Iterator[Simulator]:
    """A provisioned simulated board, not started."""
    flash = tmp_path / "flash.bin"
    flash.write_bytes(blank_flash())
    simulator = Simulator(simulator_program, flash)
    yield simulator
    simulator.stop()
