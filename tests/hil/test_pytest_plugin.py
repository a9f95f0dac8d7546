from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from small_bundles import write_bundles

REPOSITORY = Path(__file__).parents[2]
BENCH_TESTS = """
from pathlib import Path

def test_board(board):
    assert board.strategy.link.info().board == "qemu-mps2-an386"

def test_bench(flota_bench):
    report = flota_bench(Path("bundles/small-1.0.0-cortex-m4f-aot.flota"), inferences=3)
    assert report.figures["instructions"].value < 5_000_000

def test_no_board():
    pass
"""


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "hil.pytest_plugin", "-p", "no:cacheprovider", "-q", "-rs"]
    options = ["--flota-workspace", str(folder), *arguments, "test_bench.py"]
    return subprocess.run(
        [*command, *options],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_bench.py").write_text(BENCH_TESTS)
    return tmp_path


@pytest.mark.emulated
def test_a_ci_job_benches_on_a_board(folder: Path) -> None:
    write_bundles(folder)
    done = run_pytest(folder, "-m", "emulated")
    assert "2 passed, 1 deselected" in done.stdout, done.stdout + done.stderr
    assert (folder / "reports" / "small-1.0.0-qemu-mps2-an386.json").is_file()


@pytest.mark.emulated
def test_a_wrong_output_fails_the_ci_job(folder: Path) -> None:
    write_bundles(folder, wrong_case=2)
    done = run_pytest(folder, "-k", "test_bench")
    assert done.returncode == 1
    assert "outputs are wrong; case 2" in done.stdout


def test_an_unknown_board_stops_the_job_before_any_test(folder: Path) -> None:
    done = run_pytest(folder, "--flota-board", "qemu-mps2")
    assert done.returncode == 4
    assert "there is no board 'qemu-mps2'; did you mean qemu-mps2-an386?" in done.stderr


def test_the_host_is_no_microcontroller(folder: Path) -> None:
    done = run_pytest(folder, "--flota-board", "host", "-m", "hw")
    assert "2 skipped, 1 deselected" in done.stdout, done.stdout + done.stderr
    assert "host is no microcontroller board" in done.stdout
