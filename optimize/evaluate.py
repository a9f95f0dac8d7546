"""Evaluation on real runtimes: the whole test set, case by case, on the interpreter a device will have."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from flota.errors import MissingExtra
from flota.native import captured_stderr
from flota.runtimes import Runtime, RuntimeFailure
from flota.statistics import wilson_interval
from flota.workspace import TestResult
from optimize.facts import ModelFacts

RuntimeName = Literal["litert", "tflm"]
_ARENA_TOTAL = re.compile(r"Arena allocation total (\d+) bytes")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one runtime made of every test case, in order.

    ``outputs`` are the raw output bytes; ``median_us`` is the median time of one inference on this machine, one thread,
    calls from Python included.
    """

    runtime: RuntimeName
    outputs: tuple[bytes, ...]
    result: TestResult
    median_us: float


def evaluate(
    model: bytes, facts: ModelFacts, runtime: RuntimeName, cases: Sequence[bytes], y: NDArray[np.int64]
) -> Evaluation:
    """Run every case on ``runtime`` and count how often the largest output is the right class.

    Raises:
        RuntimeFailure: The runtime does not load or run the model.
        MissingExtra: The runtime is not installed.
    """
    with captured_stderr():
        loaded = _load(model, facts, runtime)
    try:
        outputs, seconds = [], []
        for case in cases:
            started = time.perf_counter()
            outputs.append(loaded.infer(case))
            seconds.append(time.perf_counter() - started)
    finally:
        loaded.close()
    classes = [int(np.frombuffer(output, np.int8).argmax()) for output in outputs]
    correct = int((np.array(classes) == y).sum())
    low, high = wilson_interval(correct, len(y))
    result = TestResult(correct=correct, count=len(y), accuracy=correct / len(y), low=low, high=high)
    return Evaluation(runtime, tuple(outputs), result, float(np.median(seconds)) * 1e6)


def _load(model: bytes, facts: ModelFacts, runtime: RuntimeName) -> Runtime:
    if runtime == "litert":
        from flota.runtimes.litert import LiteRtRuntime

        return LiteRtRuntime(model, facts.inputs, facts.outputs)
    from flota.runtimes.tflm import TflmRuntime

    return TflmRuntime(model, facts.inputs, facts.outputs)


def measure_arena(model: bytes, facts: ModelFacts, case: bytes) -> int:
    """Bytes of arena the TFLM interpreter takes to load and run the model, as its recording allocator counts them.

    Measured on this machine, where pointers have 8 bytes; a 32-bit microcontroller needs no more. The figure is then
    proved: the interpreter is loaded again with exactly that arena, and runs.

    Raises:
        RuntimeFailure: The interpreter does not load or run the model, or does not say what it used.
        MissingExtra: ``tflite-micro`` is not installed.
    """
    with captured_stderr() as said:
        interpreter = _run_tflm(model, facts, case, arena_bytes=None)
        interpreter.print_allocations()
    match = _ARENA_TOTAL.search(said.text)
    if match is None:
        raise RuntimeFailure("TFLM does not say what arena it used", hint="install the locked tflite-micro")
    arena_bytes = int(match[1])
    with captured_stderr():
        _run_tflm(model, facts, case, arena_bytes)
    return arena_bytes


def _run_tflm(model: bytes, facts: ModelFacts, case: bytes, arena_bytes: int | None) -> Any:
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError as error:
        raise MissingExtra("tflite-micro is not installed", hint="pip install 'flota[optimize]'") from error
    tensor = facts.inputs[0]
    try:
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena_bytes)
        interpreter.set_input(np.frombuffer(case, tensor.dtype).reshape(tensor.shape), 0)
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        raise RuntimeFailure(f"TFLM cannot run the model: {error}") from error
    return interpreter
