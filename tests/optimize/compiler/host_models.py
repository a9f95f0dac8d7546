"""Compiles models for this machine and runs them: in this process, or many at once in one under the sanitizers."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from amalgam import amalgamate
from sanitized_runner import Model as HostModel
from tflite_micro.python.tflite_micro import runtime

from optimize.compiler import CompiledModel, compile_tflite
from optimize.compiler.host import FIRMWARE, compile_shared, host_source

Array = np.ndarray[Any, Any]
Samples = list[list[Array]]
"""[sample][input]"""
Outputs = list[list[bytes]]
"""[sample][output]"""
RUNNER = Path(__file__).with_name("sanitized_runner.py")
RUN_TIMEOUT_S = 300


def load(library: Path) -> HostModel:
    return HostModel.in_dll(ctypes.CDLL(str(library)), "flota_model")


def run(model: HostModel, inputs: list[Array]) -> list[bytes]:
    """One inference from the initial state in this process; the bytes of every output."""
    return run_stream(model, [inputs])[0]


def run_stream(model: HostModel, samples: Samples) -> Outputs:
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


def reference(model: bytes, samples: Samples) -> Outputs:
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


LIMITS = {
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**24), 2**24),
    "bool": (0, 1),
}
"""Smallest and largest input of a type; a larger int32 leaves its range where the interpreter scales it up."""


def random_samples(compiled: CompiledModel, count: int, seed: int) -> Samples:
    """Random inputs; the first ones are the extremes."""
    rng = np.random.default_rng(seed)
    samples = []
    for index in range(count):
        sample: list[Array] = []
        for spec in compiled.inputs:
            limits = LIMITS.get(spec.dtype)
            if limits is None:
                sample.append(rng.normal(0, 3, spec.shape).astype(np.float32))
            elif index < 2:
                sample.append(np.full(spec.shape, limits[index], spec.dtype))
            else:
                sample.append(rng.integers(*limits, spec.shape, endpoint=True).astype(spec.dtype))
        samples.append(sample)
    return samples


def joined(samples: Samples) -> bytes:
    """All inputs of all samples, end to end."""
    return b"".join(values.tobytes() for sample in samples for values in sample)


def split_outputs(data: bytes, model: CompiledModel) -> Outputs:
    """The other way round, for outputs."""
    results, at = [], 0
    while at < len(data):
        row = []
        for spec in model.outputs:
            row.append(data[at : at + spec.bytes])
            at += spec.bytes
        results.append(row)
    return results


@dataclass(frozen=True)
class Kernels:
    """Kernels under the sanitizers, each compiled when a model first needs it."""

    folder: Path
    objects: dict[str, Path] = field(default_factory=dict)

    def of(self, models: Iterable[CompiledModel]) -> list[Path]:
        """The objects to link with ``models``."""
        needed = sorted({source for model in models for source in model.kernel_sources})
        for source in needed:
            if source not in self.objects:
                target = self.folder / f"{source.replace('/', '-')}.o"
                code = FIRMWARE / host_source(source)
                self.objects[source] = compile_shared([code], target, sanitize=True, extra=("-c", "-O1"))
        return [self.objects[source] for source in needed]


def build_kernels(folder: Path) -> Kernels:
    """Kernels that are compiled into ``folder``, which exists."""
    return Kernels(folder)


def run_sanitized(
    kernels: Kernels, models: Sequence[CompiledModel], samples: Sequence[Samples], tag: str, *, stream: bool = False
) -> list[Outputs]:
    """Outputs of all models, from one library in one process under the sanitizers.

    ``stream``: the samples of a model follow each other, each finding the state that the one before left.
    """
    folder = kernels.folder / tag
    folder.mkdir()
    for index, rows in enumerate(samples):
        (folder / f"{index}.inputs").write_bytes(joined(rows))
        if stream:
            (folder / f"{index}.stream").touch()
    source = folder / "models.c"
    source.write_bytes(amalgamate(models))
    objects = kernels.of(models)
    library = compile_shared([source, *objects], folder / "lib.so", sanitize=True, extra=("-O0", "-g0"))
    _run_process(library, folder, len(models))
    return [split_outputs((folder / f"{index}.outputs").read_bytes(), model) for index, model in enumerate(models)]


@cache
def _sanitizer() -> str:
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    return found.stdout.strip()


def _run_process(library: Path, folder: Path, count: int) -> None:
    environment = os.environ | {
        "LD_PRELOAD": _sanitizer(),
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(RUNNER), str(library), str(folder), str(count)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
