"""The four MLPerf Tiny models give the interpreter's bytes on 100 inputs each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from host_models import load, random_samples, reference, run

from optimize.compiler import build_host_library, compile_tflite

REPOSITORY = Path(__file__).resolve().parents[3]
FOLDER = Path(os.environ.get("FLOTA_MLPERF_TINY", REPOSITORY / "../shared/data/mlperf_tiny"))

ARENA_LIMITS = {"kws": 9_792, "ic": 33_312, "vww": 36_872, "ad": 768}
"""Bytes; a plan that grows is a regression."""


@pytest.mark.parametrize("name", ["kws", "ic", "vww", "ad"])
def test_outputs_equal_the_interpreters(name: str, tmp_path: Path) -> None:
    path = FOLDER / f"{name}_int8.tflite"
    if not path.is_file():
        pytest.skip(f"{path} is missing; set FLOTA_MLPERF_TINY to the folder of the MLPerf Tiny models")
    model = path.read_bytes()
    compiled = compile_tflite(model, name=name)
    library = load(build_host_library(compiled, tmp_path))
    samples = random_samples(compiled, 100, seed=11)
    assert [run(library, sample) for sample in samples] == reference(model, samples)
    assert compiled.arena_bytes <= ARENA_LIMITS[name]
