"""Compiled models on the emulated board give the bytes of the TFLM interpreter: all seven, 100 inputs and more each."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flota.boardlink.geometry import find_geometry
from flota.runtimes.tflm import TflmRuntime
from flota.toolchain import FirmwareBuild
from flota.workspace import DATA_FILE, NETWORK_FILE
from hil.bench.api import tflite_subject
from hil.bench.mcu import McuBench, bench_mcu
from hil.bench.run import Case
from optimize.compiler import CompiledModel, compile_tflite
from optimize.facts import read_facts
from optimize.quantize import quantize_network, to_input

REPOSITORY = Path(__file__).parents[2]
MLPERF_TINY = Path(os.environ.get("FLOTA_MLPERF_TINY", REPOSITORY.parent / "shared" / "data" / "mlperf_tiny"))
BOARD = "qemu-mps2-an386"
INPUTS = 100

pytestmark = [pytest.mark.emulated, pytest.mark.slow, pytest.mark.timeout(900)]


def compile_model(model: bytes, name: str) -> CompiledModel:
    return compile_tflite(model, name=name, core=find_geometry(BOARD).compiler.core)


def run_on_board(model: Path, firmware: FirmwareBuild, *, count: int, seed: int, real: tuple[Case, ...] = ()) -> None:
    subject = tflite_subject(model, BOARD, compile_model=compile_model, seed=seed, count=count)
    subject = replace(subject, cases=subject.cases + real)
    with McuBench(BOARD, firmware) as bench:
        report = bench_mcu(bench, subject, inferences=len(subject.cases), warmup=0)
    assert report.outputs.equal == report.outputs.checked == count + len(real), report.outputs.first_difference


def mlperf_tiny(name: str) -> Path:
    path = MLPERF_TINY / f"{name}_int8.tflite"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there; set FLOTA_MLPERF_TINY to the folder of the MLPerf Tiny models")
    return path


@pytest.mark.parametrize("name", ["kws", "ad", "ic"])
def test_mlperf_tiny(name: str, firmware: FirmwareBuild) -> None:
    run_on_board(mlperf_tiny(name), firmware, count=INPUTS, seed=1)


@pytest.mark.parametrize("part", range(4))
def test_mlperf_tiny_visual_wake_words(part: int, firmware: FirmwareBuild) -> None:
    """In four parts that can run side by side: 27 648 bytes of input take the emulated line more than a second."""
    run_on_board(mlperf_tiny("vww"), firmware, count=INPUTS // 4, seed=1 + part)


@pytest.mark.parametrize("name", ["motion", "vowels", "digits"])
def test_model_zoo(name: str, firmware: FirmwareBuild, tmp_path: Path) -> None:
    """After one epoch of training: it is the arithmetic that is compared, on real cases of the test set too."""
    import models

    folder = models.train(name, None, tmp_path / "workspace", epochs=1).folder
    with np.load(folder / DATA_FILE, allow_pickle=False) as data:
        content, test_cases = quantize_network(folder / NETWORK_FILE, data["train_x"]), data["test_x"][:20]
    path = tmp_path / f"{name}.tflite"
    path.write_bytes(content)
    facts = read_facts(content)
    reference = TflmRuntime(content, facts.inputs, facts.outputs)
    inputs = [case.tobytes() for case in to_input(test_cases, facts.inputs[0])]
    real = tuple(Case(inputs=data, expected=reference.infer(data)) for data in inputs)
    run_on_board(path, firmware, count=INPUTS, seed=1, real=real)
