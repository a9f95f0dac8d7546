"""Compiles models for this machine and runs them: in this process, or many at once in one under the sanitizers."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sanitized_runner import Model as HostModel
from tflite_micro.python.tflite_micro import runtime

from optimize.compiler import CompiledModel, compile_tflite
from optimize.compiler.host import FIRMWARE, compile_shared

Array = np.ndarray[Any, Any]
RUNNER = Path(__file__).with_name("sanitized_runner.py")


def load(library: Path) -> HostModel:
    return HostModel.in_dll(ctypes.CDLL(str(library)), "flota_model")


def run(model: HostModel, inputs: list[Array]) -> list[bytes]:
    """One inference from the initial state in this process; the bytes of every output."""
    return run_stream(model, [inputs])[0]


def run_stream(model: HostModel, samples: list[list[Array]]) -> list[list[bytes]]:
    """Inferences that follow each other in one arena; what is not state is overwritten between them."""
    raw = np.zeros(model.arena_bytes + 16, np.uint8)
    start = -raw.ctypes.data % 16
    arena = raw[start : start + model.arena_bytes]
    assert not model.reset or model.reset(arena.ctypes.data) == 0
    results = []
    for inputs in samples:
        arena[model.state_bytes :] = 0xA5
        results.append(_invoke(model, arena, inputs))
    return results


def _invoke(model: HostModel, arena: Array, inputs: list[Array]) -> list[bytes]:
    for slot, values in zip(model.inputs[: model.input_count], inputs, strict=True):
        arena[slot.offset : slot.offset + slot.bytes] = np.frombuffer(values.tobytes(), np.uint8)
    assert model.invoke(arena.ctypes.data) == 0
    return [arena[slot.offset : slot.offset + slot.bytes].tobytes() for slot in model.outputs[: model.output_count]]


def reference(model: bytes, samples: list[list[Array]]) -> list[list[bytes]]:
    """The same by the real TensorFlow Lite Micro interpreter, which keeps a model's state from sample to sample."""
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
    outputs = len(compile_tflite(model, name="reference").outputs)
    results = []
    for inputs in samples:
        for index, values in enumerate(inputs):
            interpreter.set_input(values, index)
        interpreter.invoke()
        results.append([np.ascontiguousarray(interpreter.get_output(i)).tobytes() for i in range(outputs)])
    return results


def random_samples(compiled: CompiledModel, count: int, seed: int) -> list[list[Array]]:
    """Random inputs; the first ones are the extremes."""
    rng = np.random.default_rng(seed)
    samples = []
    for index in range(count):
        sample: list[Array] = []
        for spec in compiled.inputs:
            if spec.dtype == "float32":
                sample.append(rng.normal(0, 3, spec.shape).astype(np.float32))
            elif index < 2:
                sample.append(np.full(spec.shape, (-128, 127)[index], np.int8))
            else:
                sample.append(rng.integers(-128, 128, spec.shape).astype(np.int8))
        samples.append(sample)
    return samples


@dataclass(frozen=True)
class Kernels:
    """All kernels compiled once with the sanitizers, to be linked with many models."""

    objects: list[Path]
    folder: Path


def build_kernels(folder: Path) -> Kernels:
    objects = []
    for source in sorted((FIRMWARE / "src/nn").rglob("*.c")):
        target = folder / f"{source.parent.name}-{source.stem}.o"
        compile_shared([source], target, sanitize=True, extra=("-c", "-O1"))
        objects.append(target)
    return Kernels(objects, folder)


def run_sanitized(
    kernels: Kernels, models: list[CompiledModel], samples: list[list[list[Array]]], tag: str, *, stream: bool = False
) -> list[list[list[bytes]]]:
    """Outputs [model][sample][output] of all models, from one library in one process under the sanitizers.

    ``stream``: the samples of a model follow each other, each finding the state that the one before left.
    """
    folder = kernels.folder / tag
    folder.mkdir()
    sources = []
    for index, model in enumerate(models):
        place = folder / str(index)
        place.mkdir()
        (place / "model.h").write_bytes(model.files["model.h"])
        renamed = f"#define flota_model flota_model_{index}\n".encode() + model.files["model.c"]
        (place / "model.c").write_bytes(renamed)
        sources.append(place / "model.c")
        if stream:
            (place / "stream").touch()
        (place / "inputs").write_bytes(b"".join(v.tobytes() for sample in samples[index] for v in sample))
    library = compile_shared([*sources, *kernels.objects], folder / "lib.so", sanitize=True, extra=("-O0",))
    _run_process(library, folder, len(models))
    return [_split_outputs(folder / str(index) / "outputs", model) for index, model in enumerate(models)]


def _run_process(library: Path, folder: Path, count: int) -> None:
    asan = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    environment = os.environ | {
        "LD_PRELOAD": asan,
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(RUNNER), str(library), str(folder), str(count)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def _split_outputs(path: Path, model: CompiledModel) -> list[list[bytes]]:
    data, results, at = path.read_bytes(), [], 0
    while at < len(data):
        row = []
        for spec in model.outputs:
            row.append(data[at : at + spec.bytes])
            at += spec.bytes
        results.append(row)
    return results
