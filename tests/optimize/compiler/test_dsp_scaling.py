"""The requantization of the DSP kernels against the portable one, in C: 100 million random sums, and all near ties."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from optimize.compiler.host import FIRMWARE

SOURCE = Path(__file__).with_name("dsp_scaling.c")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("scaling") / "dsp_scaling"
    include = (f"-I{FIRMWARE / 'include'}", f"-I{FIRMWARE / 'src/nn'}")
    flags = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
    subprocess.run(["gcc", *flags, *include, str(SOURCE), "-o", str(target)], check=True, timeout=120)
    return target


@pytest.mark.parametrize("count", [20_000_000, pytest.param(100_000_000, marks=pytest.mark.slow)])
def test_no_sum_differs(program: Path, count: int) -> None:
    done = subprocess.run([str(program), str(count)], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout == "0\n"
