"""From a trained model in the workspace to its bundles: quantize, evaluate, gate, pack; then write, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from flota import bundle
from flota.errors import UsageError
from flota.files import sha256_hex, write_atomic
from flota.workspace import (
    DATA_FILE,
    INT8_FILE,
    NETWORK_FILE,
    EvaluationRecord,
    Gates,
    LatencyOnThisMachine,
    TargetSummary,
    TrainingRecord,
    Workspace,
    WorkspaceError,
)
from optimize.evaluate import evaluate, measure_arena
from optimize.facts import read_facts
from optimize.gate import check_accuracy
from optimize.package import (
    PackedTarget,
    Quantized,
    choose_golden,
    feature_histograms,
    pack_aot,
    pack_litert,
    pack_tflm,
)
from optimize.quantize import quantize_network, to_input

PACKERS: dict[str, Callable[[Quantized], PackedTarget]] = {
    "linux-litert": pack_litert,
    "cortex-m4f-tflm": pack_tflm,
    "cortex-m4f-aot": pack_aot,
    "cortex-m55-aot": partial(pack_aot, target="cortex-m55-aot"),
}

DEFAULT_TARGETS = ("linux-litert", "cortex-m4f-tflm", "cortex-m4f-aot")
"""What is made when no target is asked for."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class OptimizeResult:
    """The bundles, in the order of the targets asked for, and what was measured."""

    folder: Path
    bundles: tuple[Path, ...]
    evaluation: EvaluationRecord


def run(
    name: str,
    version: str,
    workspace: Path,
    *,
    targets: Sequence[str] = DEFAULT_TARGETS,
    max_accuracy_loss: float | None = None,
    progress: Progress | None = None,
) -> OptimizeResult:
    """Optimize a trained model and write its bundles; nothing is written when a step or a gate fails.

    Args:
        name: A model trained in the workspace.
        version: Which version of it.
        workspace: Root of the workspace.
        targets: Which bundles to make, keys of :data:`PACKERS`.
        max_accuracy_loss: Replaces the recipe's gate, as a share (0.02 is two percent of the test set).
        progress: Told the name of each step as it begins.

    Raises:
        NotTrained, WorkspaceError: The model is not trained, or its files are damaged.
        QuantizationFailed, InvalidModel, UnsupportedOperator, RuntimeFailure: A step failed.
        GateFailed: The accuracy is not what the gates ask for.
        StorageError: The workspace cannot be written.
    """
    for target in targets:
        if target not in PACKERS:
            raise UsageError(f"no target is called {target!r}", hint=f"known targets: {', '.join(PACKERS)}")
    tell = progress or (lambda _: None)
    place = Workspace(workspace)
    record = place.trained(name, version)
    gates = record.gates if max_accuracy_loss is None else _with_loss(record.gates, max_accuracy_loss)
    folder = place.model_folder(name, version)
    quantized = _quantize_and_evaluate(record, folder, gates, tell)
    packed = []
    for target in targets:
        tell(f"pack {target}")
        packed.append(PACKERS[target](quantized))
    return _write(place, quantized, gates, packed)


def _with_loss(gates: Gates, max_accuracy_loss: float) -> Gates:
    return Gates(min_accuracy=gates.min_accuracy, max_accuracy_loss=max_accuracy_loss)


def _quantize_and_evaluate(record: TrainingRecord, folder: Path, gates: Gates, tell: Progress) -> Quantized:
    data = _read_data(folder / DATA_FILE)
    tell("quantize to int8")
    model = quantize_network(folder / NETWORK_FILE, data.train_x)
    facts = read_facts(model)
    cases = tuple(case.tobytes() for case in to_input(data.test_x, facts.inputs[0]))
    tell("evaluate on TFLM")
    tflm = evaluate(model, facts, "tflm", cases, data.test_y)
    check_accuracy(tflm.result, record.test, gates, runtime="TFLM")
    tell("evaluate on LiteRT")
    litert = evaluate(model, facts, "litert", cases, data.test_y)
    check_accuracy(litert.result, record.test, gates, runtime="LiteRT")
    tell("measure the arena")
    return Quantized(
        record=record,
        model=model,
        facts=facts,
        cases=cases,
        golden=choose_golden(data.test_y, tflm, litert),
        litert=litert,
        tflm=tflm,
        arena_bytes=measure_arena(model, facts, cases[0]),
        histograms=feature_histograms(data.train_x, record.features),
    )


@dataclass(frozen=True, slots=True)
class _Data:
    train_x: NDArray[np.float32]
    test_x: NDArray[np.float32]
    test_y: NDArray[np.int64]


def _read_data(path: Path) -> _Data:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return _Data(arrays["train_x"], arrays["test_x"], arrays["test_y"])
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise WorkspaceError(f"{path} cannot be read: {error}", hint="train the model again with --force") from error


def _write(place: Workspace, model: Quantized, gates: Gates, packed: Sequence[PackedTarget]) -> OptimizeResult:
    folder = place.model_folder(model.record.model, model.record.version)
    write_atomic(folder / INT8_FILE, model.model)
    bundles = tuple(bundle.write(place.bundles, one.manifest, one.files) for one in packed)
    evaluation = _evaluation(model, gates, packed, bundles, (folder / NETWORK_FILE).stat().st_size)
    place.write_evaluation(evaluation)
    return OptimizeResult(folder, bundles, evaluation)


def _evaluation(
    model: Quantized, gates: Gates, packed: Sequence[PackedTarget], bundles: Sequence[Path], float_bytes: int
) -> EvaluationRecord:
    record = model.record
    agree = sum(a == b for a, b in zip(model.tflm.outputs, model.litert.outputs, strict=True))
    return EvaluationRecord(
        model=record.model,
        version=record.version,
        dataset=record.dataset,
        dataset_sha256=record.dataset_sha256,
        float_bytes=float_bytes,
        int8_bytes=len(model.model),
        int8_sha256=sha256_hex(model.model),
        macs=model.facts.macs,
        tflm_arena_bytes=model.arena_bytes,
        float_result=record.test,
        litert=model.litert.result,
        tflm=model.tflm.result,
        runtimes_agree=agree,
        latency=LatencyOnThisMachine(litert_us=model.litert.median_us, tflm_us=model.tflm.median_us),
        gates=gates,
        targets=tuple(_summary(one, path) for one, path in zip(packed, bundles, strict=True)),
    )


def _summary(packed: PackedTarget, path: Path) -> TargetSummary:
    data = path.read_bytes()
    return TargetSummary(
        target=packed.manifest.target,
        path=str(path),
        sha256=sha256_hex(data),
        size_bytes=len(data),
        accuracy=packed.manifest.accuracy.value,
        requires=packed.manifest.requires,
    )
