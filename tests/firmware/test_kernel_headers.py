"""One model may call kernels of every header."""

from __future__ import annotations

import subprocess
from pathlib import Path

from flota.boardlink.geometry import FIRMWARE_FOLDER

INCLUDE = FIRMWARE_FOLDER / "include"


def test_the_headers_go_together(tmp_path: Path) -> None:
    """In both orders, in C and C++, without a warning."""
    names = sorted(header.name for header in (INCLUDE / "flota").glob("nn*.h"))
    assert "nn_dsp_recurrent.h" in names
    lines = [f'#include "flota/{name}"\n' for name in names]
    for order in (lines, lines[::-1]):
        for language, standard in (("c", "c99"), ("c++", "c++11")):
            source = tmp_path / "all.txt"
            source.write_text("".join(order))
            flags = ["-fsyntax-only", f"-I{INCLUDE}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-std={standard}"]
            done = subprocess.run(
                ["gcc", *flags, "-x", language, str(source)], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
