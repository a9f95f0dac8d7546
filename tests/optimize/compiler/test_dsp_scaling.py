"""The arithmetic of the DSP kernels against the portable one, in C.

Requantization: 100 million random sums, and all near ties. Division of pools: every sum of every window that is small.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from optimize.compiler.host import FIRMWARE

HERE = Path(__file__).parent


def run_program(source: str, folder: Path, *arguments: str) -> str:
    """What a C program beside this file prints."""
    target = folder / "program"
    include = (f"-I{FIRMWARE / 'include'}", f"-I{FIRMWARE / 'src/nn'}")
    flags = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
    subprocess.run(["gcc", *flags, *include, str(HERE / source), "-o", str(target)], check=True, timeout=120)
    done = subprocess.run([str(target), *arguments], capture_output=True, text=True, check=True, timeout=300)
    return done.stdout


@pytest.mark.parametrize("count", [20_000_000, pytest.param(100_000_000, marks=pytest.mark.slow)])
def test_no_requantized_sum_differs(tmp_path: Path, count: int) -> None:
    assert run_program("dsp_scaling.c", tmp_path, str(count)) == "0\n"


def test_no_average_differs(tmp_path: Path) -> None:
    assert run_program("dsp_division.c", tmp_path) == "0\n"
