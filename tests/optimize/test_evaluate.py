from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import optimize
from flota.bundle import TensorSignature
from flota.runtimes import RuntimeFailure
from flota.workspace import TestResult
from optimize import evaluate as evaluation
from optimize.errors import InvalidModel
from optimize.evaluate import Evaluation, evaluate, measure_arena
from optimize.facts import ModelFacts, read_facts
from optimize.package import choose_golden, feature_histograms
from optimize.quantize import QuantizationFailed, quantize_network, to_input


@pytest.fixture(scope="module")
def model(optimized: optimize.OptimizeResult) -> bytes:
    return (optimized.folder / "int8.tflite").read_bytes()


@pytest.fixture(scope="module")
def facts(model: bytes) -> ModelFacts:
    return read_facts(model)


def test_facts_are_those_of_the_recipe(facts: ModelFacts) -> None:
    # 48 steps × 5 taps × 6 axes × 12, then per block: depthwise taps and pointwise, then the dense head.
    separable = 24 * 12 * 5 + 24 * 12 * 16 + 12 * 16 * 5 + 12 * 16 * 24
    assert facts.macs == 48 * 5 * 6 * 12 + separable + 24 * 4
    assert facts.operators[:2] == ("CONV_2D", "DEPTHWISE_CONV_2D")
    assert facts.operators[-1] == "SOFTMAX"
    assert facts.outputs[0].scale == 1 / 256


def test_the_arena_is_exact(model: bytes, facts: ModelFacts) -> None:
    case = bytes(facts.inputs[0].size_bytes)
    arena_bytes = measure_arena(model, facts, case)
    with evaluation.captured_stderr(), pytest.raises(RuntimeFailure):
        evaluation._run_tflm(model, facts, case, arena_bytes - 1)


def test_a_runtime_counts_right_answers(model: bytes, facts: ModelFacts) -> None:
    cases = [np.full(facts.inputs[0].shape, value, np.int8).tobytes() for value in (-100, 0, 100)]
    first = evaluate(model, facts, "tflm", cases, np.zeros(3, np.int64))
    answers = np.array([np.frombuffer(output, np.int8).argmax() for output in first.outputs])
    assert evaluate(model, facts, "tflm", cases, answers).result.correct == 3
    assert evaluate(model, facts, "litert", cases, (answers + 1) % 4).result.correct == 0


@pytest.mark.parametrize("keep", [0, 3, 8, 100, 0.5, 0.9])
def test_a_truncated_model_is_refused(model: bytes, keep: float) -> None:
    kept = int(len(model) * keep) if isinstance(keep, float) else keep
    with pytest.raises(InvalidModel):
        read_facts(model[:kept])


def test_a_file_that_is_no_network_cannot_be_quantized(tmp_path: Path) -> None:
    path = tmp_path / "float.keras"
    path.write_bytes(b"not a zip archive")
    with pytest.raises(QuantizationFailed, match=r"float\.keras cannot be quantized"):
        quantize_network(path, np.zeros((1, 4, 1, 1), np.float32))


def test_inputs_are_rounded_and_saturated() -> None:
    signature = TensorSignature(name="x", shape=(1, 5), dtype="int8", scale=0.5, zero_point=-3)
    stored = to_input(np.array([[0.0, 1.0, 0.74, -1000.0, 1000.0]], np.float32), signature)
    assert stored.tolist() == [[-3, -1, -2, -128, 127]]
    with pytest.raises(QuantizationFailed, match="int8 expected"):
        to_input(np.zeros((1, 5), np.float32), signature.model_copy(update={"dtype": "float32"}))


def _evaluation(*outputs: list[int]) -> Evaluation:
    result = TestResult(correct=0, count=len(outputs), accuracy=0.0, low=0.0, high=1.0)
    return Evaluation("tflm", tuple(np.array(output, np.int8).tobytes() for output in outputs), result, 1.0)


def test_golden_cases_are_spread_and_prefer_agreement_then_doubt() -> None:
    tflm = _evaluation(*([127, -128] if index % 3 else [10, -10] for index in range(24)))
    litert = _evaluation(*([127, -128] if index % 3 else [10, -10] for index in range(24)))
    labels = np.repeat([0, 1], 12)
    assert choose_golden(labels, tflm, litert) == (0, 3, 6, 9, 12, 15, 18, 21)
    disagrees = _evaluation(
        *([9, -9] if index == 0 else np.frombuffer(o, np.int8).tolist() for index, o in enumerate(tflm.outputs))
    )
    assert 0 not in choose_golden(labels, tflm, disagrees)


def test_a_class_with_few_cases_leaves_its_place_to_the_others() -> None:
    outputs = _evaluation(*([1, 0] for _ in range(10)))
    chosen = choose_golden(np.array([0] + [1] * 9), outputs, outputs)
    assert len(chosen) == 8
    assert 0 in chosen
    assert choose_golden(np.array([0, 1]), outputs, outputs) == (0, 1)


def test_a_channel_that_never_changes_still_has_a_histogram() -> None:
    x = np.ones((4, 3, 1, 1), np.float32)
    (histogram,) = feature_histograms(x, ["still"])
    assert sum(histogram.counts) == 12
