"""A pytest plugin for CI jobs that bench on boards: ``pytest -p hil.pytest_plugin --flota-board NAME``.

Fixtures:
    ``flota_board``: the name of the board chosen; nothing is started.
    ``board``: that board, switched on with the base firmware and a throwaway key (:class:`hil.bench.mcu.McuBench`).
    ``flota_bench``: bench a bundle on it and get the report; a wrong output fails the test.

    def test_motion_stays_small(flota_bench):
        report = flota_bench(Path("motion-1.1.0-cortex-m4f-aot.flota"), inferences=100)
        assert report.figures["instructions"].value < 500_000

Tests that use ``board`` or ``flota_bench`` get the marker ``emulated`` or ``hw``, whichever the board is, so that
``-m "not hw"`` leaves out what needs real hardware.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from flota.errors import FlotaError
from hil.bench.mcu import McuBench, bench_mcu
from hil.bench.report import BenchReport, require_right_outputs, write_report
from hil.bench.subjects import mcu_subject
from hil.boards import EmulatedMcu, find_board

Bench: TypeAlias = Callable[..., BenchReport]
_USES_A_BOARD = frozenset({"board", "flota_bench"})


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the plugin."""
    group = parser.getgroup("flota", "Flota boards")
    group.addoption(
        "--flota-board", default="qemu-mps2-an386", metavar="NAME", help="board to run on; see `flota board list`"
    )
    group.addoption("--flota-workspace", default=".flota", metavar="DIR", help="where built firmware and reports go")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a board that does not exist before any test runs; declare the markers."""
    config.addinivalue_line("markers", "hw: needs a real board")
    config.addinivalue_line("markers", "emulated: runs firmware on an emulated board (QEMU)")
    try:
        find_board(config.getoption("--flota-board"))
    except FlotaError as error:
        raise pytest.UsageError(f"{error.message}; {error.hint}") from error


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what uses the board as ``emulated`` or ``hw``."""
    marker = "emulated" if find_board(config.getoption("--flota-board")).emulated else "hw"
    for item in items:
        if _USES_A_BOARD & set(getattr(item, "fixturenames", ())):
            item.add_marker(marker)


@pytest.fixture(scope="session")
def flota_board(request: pytest.FixtureRequest) -> str:
    """The name of the board chosen with ``--flota-board``."""
    return str(request.config.getoption("--flota-board"))


@pytest.fixture(scope="session")
def flota_workspace(request: pytest.FixtureRequest) -> Path:
    """The folder chosen with ``--flota-workspace``."""
    return Path(str(request.config.getoption("--flota-workspace")))


@pytest.fixture
def board(flota_board: str, flota_workspace: Path) -> Iterator[McuBench]:
    """A new board, on, with the base firmware and an empty flash; off again after the test."""
    from flota.toolchain import build_firmware

    if not isinstance(find_board(flota_board), EmulatedMcu):
        pytest.skip(f"{flota_board} is no microcontroller board; choose one with --flota-board")
    with McuBench(flota_board, build_firmware(flota_board, flota_workspace / "firmware" / flota_board)) as started:
        yield started


@pytest.fixture
def flota_bench(board: McuBench, flota_board: str, flota_workspace: Path) -> Bench:
    """Bench a ``cortex-m4f-aot`` bundle: ``flota_bench(path, inferences=100, warmup=3)``. The report is saved."""

    def bench(path: Path, *, inferences: int = 100, warmup: int = 3) -> BenchReport:
        report = bench_mcu(board, mcu_subject(path, flota_board), inferences=inferences, warmup=warmup)
        write_report(flota_workspace / "reports", report)
        require_right_outputs(report)
        return report

    return bench
