"""SVDF and LSTM give the interpreter's bytes over streams of inputs; what they cannot be is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as s
from host_models import Array, Kernels, build_kernels, reference, run_sanitized
from recurrent_models import Recurrent, lstm_model, svdf_model
from tflite_builder import options

from optimize.compiler import CompiledModel, compile_tflite
from optimize.errors import InvalidModel, UnsupportedOperator

STEPS = 40
MOVING = 5
"""Different outputs most streams must have, or they would prove little."""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    return build_kernels(tmp_path_factory.mktemp("kernels"))


def stream(compiled: CompiledModel, seed: int) -> list[list[Array]]:
    """Random steps between runs of the extremes, which drive states to their bounds."""
    rng = np.random.default_rng(seed)
    (spec,) = compiled.inputs
    steps = rng.integers(-128, 128, (STEPS, *spec.shape))
    steps[8:16], steps[16:24] = 127, -128
    return [[step.astype(np.int8)] for step in steps]


def check(kernels: Kernels, models: Sequence[bytes]) -> list[set[bytes]]:
    """Compare streams through ``models`` with the interpreter; the different outputs of each."""
    compiled = [compile_tflite(model, name="recurrent") for model in models]
    streams = [stream(item, seed) for seed, item in enumerate(compiled)]
    tag = f"batch{len(list(kernels.folder.iterdir()))}"
    outputs = run_sanitized(kernels, compiled, streams, tag, stream=True)
    for number, (model, samples, actual) in enumerate(zip(models, streams, outputs, strict=True)):
        assert actual == reference(model, samples), number
    return [{step[0] for step in actual} for actual in outputs]


def test_svdf_with_a_state_of_16_bits(kernels: Kernels) -> None:
    shapes: list[dict[str, Any]] = [
        {"units": 4, "rank": 1, "memory": 10},
        {"units": 5, "rank": 2, "memory": 7, "features": 13},
        {"units": 3, "rank": 3, "memory": 1, "batch": 2},
        {"units": 1, "rank": 1, "memory": 2, "features": 1},
        {"units": 7, "rank": 2, "memory": 16, "features": 40, "batch": 3},
    ]
    found = check(kernels, [svdf_model(seed, **shape) for seed, shape in enumerate(shapes * 3)])
    assert sum(len(outputs) >= MOVING for outputs in found) > 0.8 * len(found)


def test_svdf_with_a_state_of_8_bits(kernels: Kernels) -> None:
    shapes: list[dict[str, Any]] = [
        {"units": 4, "rank": 1, "memory": 10},
        {"units": 5, "rank": 2, "memory": 7, "features": 13, "zero_point": 5},
        {"units": 3, "rank": 2, "memory": 3, "batch": 2, "zero_point": -128},
    ]
    check(kernels, [svdf_model(seed, wide=False, **shape) for seed, shape in enumerate(shapes * 2)])


def test_lstm(kernels: Kernels) -> None:
    layers: list[dict[str, Any]] = [
        {"units": 6},
        {"units": 4, "cell_power": -15, "shape": (1, 5, 3)},
        {"units": 5, "cell_power": -9, "shape": (2, 3, 7)},
        {"units": 3, "cell_power": -12, "shape": (4, 2, 3), "time_major": True},
        {"units": 7, "clip": 1.5, "shape": (1, 4, 4)},
        {"units": 2, "clip": 100.0, "shape": (1, 3, 4)},
        {"units": 1, "cell_power": -13, "shape": (1, 1, 1)},
    ]
    found = check(kernels, [lstm_model(seed, **layer) for seed, layer in enumerate(layers * 3)])
    assert sum(len(outputs) >= MOVING for outputs in found) > 0.8 * len(found)


def test_a_clip_of_less_than_a_step_leaves_the_cell_at_zero(kernels: Kernels) -> None:
    (outputs,) = check(kernels, [lstm_model(1, units=3, cell_power=-9, clip=0.001)])
    assert len(outputs) == 1


def test_layers_with_states_of_their_own_follow_each_other(kernels: Kernels) -> None:
    model = Recurrent(3)
    x = model.input((1, 12))
    first = model.svdf(x, units=6, rank=1, memory=4)
    check(kernels, [model.b.build([x], [model.svdf(first, units=3, rank=2, memory=5)])])


def test_the_states_lie_at_the_front_of_the_arena() -> None:
    compiled = compile_tflite(lstm_model(1, units=6), name="m")
    assert compiled.state_bytes == 8 + 12
    assert all(spec.arena_offset >= 20 for spec in (*compiled.inputs, *compiled.outputs))
    # Zero points that are not zero must be set, and all bytes of a state are one memset.
    assert compiled.files["model.c"].count(b"memset(arena") == 2


def test_tensors_without_values_beside_an_lstm_are_no_matter(kernels: Kernels) -> None:
    """Converters note the ranges they found in tensors of shape [0], which no operator reads."""
    model = Recurrent(2)
    x = model.input((1, 3, 5))
    model.b.tensor((0,), scale=0.5)
    check(kernels, [model.b.build([x], [model.lstm(x, units=4)])])


def test_an_operand_without_values_is_refused() -> None:
    model = Recurrent(2)
    x, empty = model.input((1, 4)), model.b.tensor((1, 0), scale=0.5)
    y = model.b.op("CONCATENATION", [x, empty], model.b.tensor((1, 4), scale=0.5), options("ConcatenationOptions"))
    refused(model.b.build([x], [y]), InvalidModel, r"operator 0 \(CONCATENATION\): tensor 1 \(t1\) has shape \[1, 0\]")


def refused(model: bytes, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match) as caught:
        compile_tflite(model, name="m")
    assert caught.value.hint  # type: ignore[attr-defined]


def changed(change: Callable[[Recurrent, Any], None], *, lstm: bool = True) -> bytes:
    """A model whose one operator ``change`` was applied to."""
    model = Recurrent(5)
    x = model.input((1, 2, 3) if lstm else (1, 6))
    y = model.lstm(x, units=4) if lstm else model.svdf(x, units=2, rank=2, memory=3)
    change(model, model.b.operators[0])
    return model.b.build([x], [y])


def test_variants_of_the_lstm_are_refused_by_operand() -> None:
    def peephole(model: Recurrent, op: Any) -> None:
        op.inputs[9] = op.inputs[1]

    def no_input_gate(model: Recurrent, op: Any) -> None:
        op.inputs[1] = -1

    def sigmoid(model: Recurrent, op: Any) -> None:
        op.builtinOptions.fusedActivationFunction = s.ActivationFunctionType.RELU

    refused(changed(peephole), UnsupportedOperator, r"operator 0 \(UNIDIRECTIONAL_SEQUENCE_LSTM\): operand 9")
    refused(changed(no_input_gate), InvalidModel, "operand 1 is missing")
    refused(changed(sigmoid), UnsupportedOperator, "activation 1")


def test_states_that_are_no_variables_are_refused() -> None:
    def constant_state(model: Recurrent, op: Any) -> None:
        model.b.tensors[op.inputs[4]].isVariable = False

    def shared_state(model: Recurrent, op: Any) -> None:
        model.b.operators.append(op)

    def read_elsewhere(model: Recurrent, op: Any) -> None:
        model.b.op("RELU", [op.inputs[4]], model.b.tensor((1, 12), scale=0.5))

    refused(changed(constant_state, lstm=False), InvalidModel, "is not a variable tensor")
    refused(changed(shared_state, lstm=False), UnsupportedOperator, "has other uses")
    refused(changed(read_elsewhere, lstm=False), UnsupportedOperator, "has other uses")


def test_a_variable_of_an_operator_without_state_is_refused() -> None:
    model = Recurrent(1)
    x = model.input((1, 4))
    kept = model.variable((1, 4), "int8", 0.5)
    y = model.b.op("ADD", [x, kept], model.b.tensor((1, 4), scale=0.5))
    refused(model.b.build([x], [y]), UnsupportedOperator, "an operator that keeps no state")


def test_wrong_shapes_are_refused() -> None:
    def short_weights(model: Recurrent, op: Any) -> None:
        op.inputs[2] = model.int8((3, 3), 0.5)

    def short_bias(model: Recurrent, op: Any) -> None:
        op.inputs[12] = model.bias(3, 10, 0.5)

    def rank(model: Recurrent, op: Any) -> None:
        op.builtinOptions.rank = 3

    refused(changed(short_weights), InvalidModel, r"weights \[3, 3\] for 3 features and 4 units")
    refused(changed(short_bias), InvalidModel, "a bias")
    refused(changed(rank, lstm=False), InvalidModel, "rank 3")
