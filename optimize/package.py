"""Bundles: what a quantized model becomes for each target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flota.boardlink.geometry import find_geometry
from flota.bundle import (
    Accuracy,
    FeatureHistogram,
    GoldenVectors,
    Manifest,
    Provenance,
    Requirements,
    TensorSignature,
    file_entries,
)
from flota.keras_backend import tool_versions
from flota.workspace import TrainingRecord
from optimize.compiler import CompiledModel, compile_tflite
from optimize.evaluate import Evaluation
from optimize.facts import ModelFacts

MIN_GOLDEN_CASES = 8
HISTOGRAM_BINS = 20
MODEL_FILE = "model.tflite"
OUTPUT_NAME = "scores"
GOLDEN_INPUTS = "golden/inputs.bin"
GOLDEN_OUTPUTS = "golden/outputs.bin"
AOT_BOARDS = {"cortex-m4f-aot": ("qemu-mps2-an386",), "cortex-m55-aot": ("qemu-mps3-an547",)}
"""Target -> the boards whose images its bundle holds. All of them have the same core."""


@dataclass(frozen=True, slots=True)
class Quantized:
    """A quantized model with everything that was measured on it.

    ``cases`` are the test set's inputs as int8 bytes, ``labels`` their classes, ``golden`` the numbers of those that
    become golden vectors. Sizes in bytes.
    """

    record: TrainingRecord
    model: bytes
    facts: ModelFacts
    cases: tuple[bytes, ...]
    golden: tuple[int, ...]
    litert: Evaluation
    tflm: Evaluation
    arena_bytes: int
    histograms: tuple[FeatureHistogram, ...]


@dataclass(frozen=True, slots=True)
class PackedTarget:
    """A manifest and its files, not written yet."""

    manifest: Manifest
    files: Mapping[str, bytes]


def choose_golden(labels: NDArray[np.int64], tflm: Evaluation, litert: Evaluation) -> tuple[int, ...]:
    """Numbers of the test cases that become golden vectors, spread evenly over the classes, at least eight.

    Within a class, cases come first on which two independent runtimes agree to the byte, then those with the least
    certain answer: a saturated output would hide a small error.
    """
    classes = sorted(set(labels.tolist()))
    queues = {
        label: sorted(np.flatnonzero(labels == label).tolist(), key=lambda index: _rank(index, tflm, litert))
        for label in classes
    }
    wanted = min(max(MIN_GOLDEN_CASES, len(classes)), len(labels))
    chosen: list[int] = []
    while len(chosen) < wanted:
        chosen.extend(queue.pop(0) for queue in queues.values() if queue)
    return tuple(sorted(chosen[:wanted]))


def _rank(index: int, tflm: Evaluation, litert: Evaluation) -> tuple[bool, int, int]:
    certainty = int(np.frombuffer(tflm.outputs[index], np.int8).max())
    return tflm.outputs[index] != litert.outputs[index], certainty, index


def feature_histograms(x: NDArray[np.float32], features: Sequence[str]) -> tuple[FeatureHistogram, ...]:
    """Distribution of every channel of ``x`` (cases, height, width, channels), in its units, between its extremes."""
    return tuple(_histogram(name, x[..., channel]) for channel, name in enumerate(features))


def _histogram(name: str, values: NDArray[np.float32]) -> FeatureHistogram:
    counts, edges = np.histogram(values.astype(np.float64), bins=HISTOGRAM_BINS)
    return FeatureHistogram(name=name, edges=tuple(edges.tolist()), counts=tuple(counts.tolist()))


def pack_litert(model: Quantized) -> PackedTarget:
    """``linux-litert``: the model file, golden outputs and accuracy from LiteRT."""
    requires = Requirements(runtime="litert", flash_bytes=len(model.model), operators=model.facts.operators)
    return _pack(model, "linux-litert", model.litert, requires, MODEL_FILE, {MODEL_FILE: model.model})


def pack_tflm(model: Quantized) -> PackedTarget:
    """``cortex-m4f-tflm``: the model file for the TFLM interpreter, with the arena and the operators it needs.

    ``flash_bytes`` is the model alone; the interpreter and its kernels come on top.
    """
    requires = Requirements(
        runtime="tflm",
        arena_bytes=model.arena_bytes,
        flash_bytes=len(model.model),
        ram_bytes=model.arena_bytes,
        operators=model.facts.operators,
    )
    return _pack(model, "cortex-m4f-tflm", model.tflm, requires, MODEL_FILE, {MODEL_FILE: model.model})


def pack_aot(model: Quantized, target: str = "cortex-m4f-aot") -> PackedTarget:
    """``cortex-m4f-aot`` and its like: C99 with a static memory plan, linked for both slots of every board, not signed.

    Golden outputs and accuracy are the TFLM interpreter's, whose bytes the compiled code gives; the device replays the
    golden vectors before it runs an image.

    Raises:
        UnsupportedOperator: The compiler lacks an operator.
        MissingTool, CompileError: The cross-compiler is not there, or refused the code.
    """
    from flota.toolchain import Compiler

    boards = AOT_BOARDS[target]
    core = find_geometry(boards[0]).compiler.core
    compiled = compile_tflite(model.model, name=f"{model.record.model} {model.record.version}", core=core)
    files = {f"src/{name}": data for name, data in compiled.files.items()}
    flash_bytes = 0
    for board in boards:
        images, board_flash_bytes = _link(model, compiled, board)
        files |= images
        flash_bytes = max(flash_bytes, board_flash_bytes)
    requires = Requirements(
        runtime="aot-c",
        arena_bytes=compiled.arena_bytes,
        flash_bytes=flash_bytes,
        ram_bytes=compiled.arena_bytes,
        boards=boards,
        operators=tuple(dict.fromkeys(compiled.operators)),
    )
    payload = f"images/{boards[0]}/a.img"
    tools = {"arm-none-eabi-gcc": Compiler().version()}
    return _pack(model, target, model.tflm, requires, payload, files, tools)


def _link(model: Quantized, compiled: CompiledModel, board: str) -> tuple[dict[str, bytes], int]:
    """Images of both slots by bundle path, and the larger one's code and constants in bytes."""
    from flota.toolchain import link_image

    images, flash_bytes = {}, 0
    for slot in ("A", "B"):
        image = link_image(
            board,
            slot,
            compiled.files,
            compiled.kernel_sources,
            model=model.record.model,
            version=model.record.version,
            security_counter=0,
            golden=[(model.cases[index], model.tflm.outputs[index]) for index in model.golden],
            arena_bytes=compiled.arena_bytes,
        )
        images[f"images/{board}/{slot.lower()}.img"] = image.data
        flash_bytes = max(flash_bytes, image.flash_bytes)
    return images, flash_bytes


def _pack(
    model: Quantized,
    target: str,
    evaluation: Evaluation,
    requires: Requirements,
    payload: str,
    files: Mapping[str, bytes],
    tools: Mapping[str, str] | None = None,
) -> PackedTarget:
    golden = {
        GOLDEN_INPUTS: b"".join(model.cases[index] for index in model.golden),
        GOLDEN_OUTPUTS: b"".join(evaluation.outputs[index] for index in model.golden),
    }
    everything = {**files, **golden}
    record = model.record
    manifest = Manifest(
        model=record.model,
        version=record.version,
        target=target,
        description=record.description,
        labels=record.labels,
        payload=payload,
        files=file_entries(everything),
        inputs=model.facts.inputs,
        outputs=_named_outputs(model.facts),
        golden=GoldenVectors(count=len(model.golden), inputs=GOLDEN_INPUTS, outputs=GOLDEN_OUTPUTS),
        requires=requires,
        accuracy=_accuracy(record, evaluation),
        histograms=model.histograms,
        provenance=_provenance(record, tools or {}),
    )
    return PackedTarget(manifest, everything)


def _named_outputs(facts: ModelFacts) -> tuple[TensorSignature, ...]:
    """The outputs under a name a client can use; the converter calls every network's output ``Identity``."""
    if len(facts.outputs) != 1:
        return facts.outputs
    return (facts.outputs[0].model_copy(update={"name": OUTPUT_NAME}),)


def _accuracy(record: TrainingRecord, evaluation: Evaluation) -> Accuracy:
    result = evaluation.result
    return Accuracy(
        metric="accuracy",
        value=result.accuracy,
        low=result.low,
        high=result.high,
        float_value=record.test.accuracy,
        count=result.count,
        dataset=f"{record.dataset} (test)",
        dataset_sha256=record.dataset_sha256,
    )


def _provenance(record: TrainingRecord, tools: Mapping[str, str]) -> Provenance:
    """The source is the float network's weights: its file also holds the time it was saved at."""
    return Provenance(
        source_sha256=record.weights_sha256,
        config_sha256=record.config_sha256,
        git_commit=record.git_commit,
        seed=record.seed,
        tools={**record.tools, **tool_versions(("ai-edge-litert", "tflite-micro")), **tools},
    )
