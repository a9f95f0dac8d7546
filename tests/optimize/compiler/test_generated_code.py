"""The generated text: a golden file, determinism, and what the cross-compiler makes of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from host_models import compile_tflite
from hypothesis import HealthCheck, given, settings
from random_graphs import graphs
from tflite_builder import small_model

from optimize.compiler import CompiledModel
from optimize.compiler.host import FIRMWARE

GOLDEN = Path(__file__).with_name("golden")
CORTEX_M4F = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard")
STRICT = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror")


@pytest.mark.parametrize("file", ["model.c", "model.h"])
def test_the_generated_text_is_the_golden_files(file: str, request: pytest.FixtureRequest) -> None:
    actual = compile_tflite(small_model(), name="small").files[file]
    golden = GOLDEN / f"small_{file}.txt"
    if request.config.getoption("--update-golden", default=False):
        golden.parent.mkdir(exist_ok=True)
        golden.write_bytes(actual)
    assert actual.decode() == golden.read_text(), "run pytest with --update-golden if the change is meant"


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(model=graphs())
def test_the_same_model_gives_the_same_bytes(model: bytes) -> None:
    assert compile_tflite(model, name="m") == compile_tflite(model, name="m")


def sections(compiled: CompiledModel, folder: Path) -> dict[str, int]:
    """Bytes of each section of the model and its kernels, compiled for a Cortex-M4F and linked into one object."""
    gcc = shutil.which("arm-none-eabi-gcc")
    if gcc is None:
        pytest.skip("arm-none-eabi-gcc is missing; apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi")
    for name, content in compiled.files.items():
        (folder / name).write_bytes(content)
    sources = [folder / "model.c", *(FIRMWARE / source for source in compiled.kernel_sources)]
    subprocess.run(
        [gcc, *CORTEX_M4F, *STRICT, f"-I{FIRMWARE / 'include'}", "-r", "-nostdlib", *sources, "-o", folder / "all.o"],
        check=True,
    )
    sizes = subprocess.run(
        ["arm-none-eabi-size", "-A", folder / "all.o"], check=True, capture_output=True, text=True
    ).stdout
    rows = (line.split() for line in sizes.splitlines() if line.startswith("."))
    return {row[0]: int(row[1]) for row in rows}


def all_kernels() -> CompiledModel:
    compiled = compile_tflite(small_model(), name="small")
    sources = tuple(f"src/nn/{path.name}" for path in sorted((FIRMWARE / "src/nn").glob("*.c")))
    return CompiledModel(
        compiled.files,
        compiled.inputs,
        compiled.outputs,
        compiled.arena_bytes,
        compiled.weight_bytes,
        compiled.operators,
        sources,
    )


def test_model_and_kernels_have_no_writable_memory(tmp_path: Path) -> None:
    sizes = sections(all_kernels(), tmp_path)
    writable = {name: size for name, size in sizes.items() if name.startswith((".data", ".bss", "COMMON")) and size}
    assert writable == {}
    assert sizes[".text"] > 0


def test_the_code_needs_nothing_but_memory_functions_and_float_helpers(tmp_path: Path) -> None:
    sections(all_kernels(), tmp_path)
    listing = subprocess.run(
        ["arm-none-eabi-nm", "-u", tmp_path / "all.o"], check=True, capture_output=True, text=True
    ).stdout
    assert {line.split()[-1] for line in listing.splitlines()} <= {"memcpy", "memmove", "memset"}
