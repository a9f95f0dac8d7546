"""SVDF and LSTM on the DSP extension: the bytes of the interpreter over streams, here and on the emulated board."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bare_models import run_emulated
from host_models import Array, build_kernels, reference, run_sanitized
from recurrent_models import LEFT_OUT, Recurrent, float32, lstm_model, svdf_model
from tflite_builder import options

from optimize.compiler import CompiledModel, compile_tflite

STEPS = 24

SVDFS: dict[str, dict[str, Any]] = {
    "16 bits": {"units": 4, "rank": 1, "memory": 10},
    "16 bits, odd": {"units": 5, "rank": 3, "memory": 7, "features": 13},
    "16 bits, memory of one": {"units": 3, "rank": 3, "memory": 1, "batch": 2},
    "16 bits, memory of two": {"units": 1, "rank": 1, "memory": 2, "features": 1},
    "16 bits, memory of three": {"units": 2, "rank": 1, "memory": 3, "features": 6},
    "8 bits": {"units": 4, "rank": 2, "memory": 8, "wide": False},
    "8 bits, memory of one": {"units": 3, "rank": 1, "memory": 1, "wide": False, "zero_point": 9},
    "8 bits, memory of three": {"units": 3, "rank": 2, "memory": 3, "wide": False, "zero_point": -128},
    "8 bits, memory of four": {"units": 6, "rank": 1, "memory": 4, "wide": False, "zero_point": 127, "batch": 3},
    "8 bits, memory of 13": {"units": 5, "rank": 2, "memory": 13, "wide": False, "features": 7, "zero_point": -50},
    "8 bits, memory of 18": {"units": 9, "rank": 1, "memory": 18, "wide": False, "features": 40},
}

LSTMS: dict[str, dict[str, Any]] = {
    "one unit": {"units": 1, "shape": (1, 1, 1)},
    "whole quads": {"units": 8, "shape": (1, 5, 12)},
    "nothing divides by four": {"units": 5, "shape": (2, 3, 7), "cell_power": -9},
    "inputs of whole quads only": {"units": 6, "shape": (1, 4, 8), "cell_power": -15},
    "units of whole quads only": {"units": 4, "shape": (1, 4, 3), "clip": 1.5},
    "clip of less than a step": {"units": 3, "shape": (1, 4, 3), "cell_power": -9, "clip": 0.001},
    "time first": {"units": 3, "shape": (4, 2, 3), "time_major": True},
    "many inputs": {"units": 7, "shape": (1, 2, 70)},
}

WIDE = "src/nn/dsp/gemm_wide.c"
LEAST_WEIGHTS = ["lstm, weights of -128", "svdf, weights of -128"]
TOO_STRONG = ["factors around 64.0", "factors around 128.0"]
"""They ask for more left shifts than the packed product has room for."""


def stream(compiled: CompiledModel, seed: int) -> list[list[Array]]:
    """Random steps, then runs of the extremes, which drive states to their bounds."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(-128, 128, (STEPS, *compiled.inputs[0].shape))
    steps[8:13], steps[13:18] = 127, -128
    return [[step.astype(np.int8)] for step in steps]


def models() -> dict[str, bytes]:
    svdfs = {f"svdf, {name}": svdf_model(seed, **layer) for seed, (name, layer) in enumerate(SVDFS.items())}
    lstms = {
        f"lstm, {name}, {seed}": lstm_model(seed, **layer) for name, layer in LSTMS.items() for seed in range(40, 44)
    }
    strengths = {f"factors around {2.0**power}": lstm_of_strength(power) for power in range(-4, 8)}
    least = {name: with_least_weights(lstm="lstm" in name) for name in LEAST_WEIGHTS}
    large = {f"large sums, {bits} bits": with_large_sums(wide=bits == 16) for bits in (8, 16)}
    return svdfs | lstms | large | least | strengths


def lstm_of_strength(power: int) -> bytes:
    """An LSTM whose products are multiplied by 2**power and by about half of that to become arguments of the gates."""
    model = Recurrent(power + 100)
    x = model.input((1, 6, 5), scale=float32(2.0**-7))
    weight_scale = float32(2.0 ** (power - 12 + 7))
    hidden_scale, hidden_zero = float32(0.55 / 128), 3
    weights = [model.int8((6, 5), weight_scale) for _ in range(4)]
    recurrent = [model.int8((6, 6), weight_scale) for _ in range(4)]
    biases = [model.bias(6, 4000, weight_scale * 2.0**-7) for _ in weights]
    hidden, cell = model.variable((1, 6), "int8", hidden_scale, hidden_zero), model.variable((1, 6), "int16", 2.0**-11)
    operands = [x, *weights, *recurrent, *[LEFT_OUT] * 3, *biases, *[LEFT_OUT] * 2, hidden, cell, *[LEFT_OUT] * 4]
    out = model.b.tensor((1, 6, 6), scale=hidden_scale, zero_point=hidden_zero)
    table = options("UnidirectionalSequenceLSTMOptions", fusedActivationFunction=4, cellClip=0.0, timeMajor=False)
    return model.b.build([x], [model.b.op("UNIDIRECTIONAL_SEQUENCE_LSTM", operands, out, table)])


def with_least_weights(lstm: bool) -> bytes:
    """-128 beside a negative weight does not fit a packed halfword."""
    model = Recurrent(1)
    x = model.input((1, 3, 4) if lstm else (2, 8))
    y = model.lstm(x, units=4) if lstm else model.svdf(x, units=4, rank=1, memory=5, wide=False)
    weights = model.b.tensors[model.b.operators[0].inputs[2 if lstm else 1]]
    model.b.buffers[weights.buffer].data = np.full(16 if lstm else 32, 0x80, np.uint8)
    return model.b.build([x], [y])


def with_large_sums(*, wide: bool) -> bytes:
    """An SVDF whose sums over time leave 32 bits."""
    model = Recurrent(4)
    x = model.input((1, 8))
    y = model.svdf(x, units=4, rank=1, memory=6, wide=wide)
    bias = model.b.tensors[model.b.operators[0].inputs[3]]
    values = model.rng.integers(-(1 << 31), 1 << 31, 4).astype(np.int32)
    model.b.buffers[bias.buffer].data = values.view(np.uint8)
    return model.b.build([x], [y])


def uses(compiled: CompiledModel, source: str) -> bool:
    return source in compiled.kernel_sources


def test_streams_under_the_sanitizers(tmp_path: Path) -> None:
    given = models()
    compiled = [compile_tflite(model, name="m", core="cortex-m4") for model in given.values()]
    assert not any(uses(item, portable) for item in compiled for portable in ("src/nn/svdf.c", "src/nn/lstm.c"))
    assert [name for name, item in zip(given, compiled, strict=True) if uses(item, WIDE)] == [
        *LEAST_WEIGHTS,
        *TOO_STRONG,
    ]
    streams = [stream(item, seed) for seed, item in enumerate(compiled)]
    outputs = run_sanitized(build_kernels(tmp_path), compiled, streams, "dsp", stream=True)
    for (name, model), samples, actual in zip(given.items(), streams, outputs, strict=True):
        assert actual == reference(model, samples), name


@pytest.mark.emulated
def test_streams_on_the_emulated_board() -> None:
    given = models()
    compiled = [compile_tflite(model, name="m", core="cortex-m4") for model in given.values()]
    streams = [stream(item, seed) for seed, item in enumerate(compiled)]
    outputs = run_emulated(compiled, streams)
    for (name, model), samples, actual in zip(given.items(), streams, outputs, strict=True):
        assert actual == reference(model, samples), name


def test_a_wide_state_with_a_zero_point_stays_portable() -> None:
    model = Recurrent(3)
    x = model.input((1, 6))
    y = model.svdf(x, units=2, rank=2, memory=3)
    model.b.tensors[model.b.operators[0].inputs[4]].quantization.zeroPoint = [1]
    assert uses(compile_tflite(model.b.build([x], [y]), name="m", core="cortex-m4"), "src/nn/svdf.c")
