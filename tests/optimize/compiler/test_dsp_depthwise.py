"""Depthwise convolutions on the DSP extension: the interpreter's bytes at every edge and for every overlap."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from depthwise_models import VALID, Layer, compile_with, tflite
from host_models import build_kernels, random_samples, reference, run_sanitized

from hil.bare import Inference, flota_engine, measure_bare
from optimize.compiler import CORES, CompiledModel, compile_tflite, depthwise_packing
from optimize.compiler.cores import CORTEX_M4
from optimize.compiler.emit import emit_model
from optimize.compiler.exact_scaling import find_scaling
from optimize.compiler.kernels import DepthwiseCall
from optimize.compiler.layout import plan_layout
from optimize.compiler.passes import run_passes
from optimize.compiler.passes.choose_depthwise import choose_depthwise, choose_depthwise3
from optimize.compiler.reader import read_tflite

SAMPLES = 3
TRIES = 20
"""A layer may have no exact scaling; another seed then gives one."""

LAYERS = {
    "one pixel": Layer((1, 1, 4)),
    "one row": Layer((1, 9, 4)),
    "one column": Layer((9, 1, 4)),
    "one channel": Layer((5, 6, 1)),
    "kws": Layer((25, 5, 8)),
    "one row past a band": Layer((17, 17, 4)),
    "one band": Layer((16, 16, 4)),
    "two bands": Layer((32, 31, 4)),
    "three bands and one channel": Layer((34, 35, 5), batches=2),
    "six channels": Layer((7, 5, 6)),
    "seven channels, two images": Layer((6, 7, 7), batches=2),
    "small": Layer((3, 3, 16)),
    "long and narrow": Layer((16, 400, 4)),
    "valid": Layer((19, 20, 4), padding=VALID),
    "valid, one output": Layer((3, 3, 4), padding=VALID),
    "stride 2, even": Layer((18, 20, 4), 2),
    "stride 2, odd": Layer((19, 17, 5), 2),
    "stride 2, bands": Layer((40, 37, 4), 2, batches=2),
    "stride 2, valid, last column unused": Layer((18, 20, 7), 2, padding=VALID),
    "stride 2, one output": Layer((2, 1, 4), 2),
    "zero point inside": Layer((6, 6, 4), zero_points=(17, -128)),
    "zero point at the end": Layer((6, 6, 4), zero_points=(127, -128)),
    "relu6": Layer((6, 6, 8), activation=3, factor=1 / 4000),
    "relu above the least value": Layer((8, 9, 4), zero_points=(5, -20)),
    "weights of -128": Layer((6, 6, 4), weights=(-128, -127)),
    "all weights 127": Layer((6, 6, 4), weights=(127, 127)),
    "no activation": Layer((18, 5, 4), zero_points=(3, -4), activation=0),
    "no activation, odd": Layer((17, 3, 7), zero_points=(3, 90), activation=0, batches=2),
    "no activation, stride 2": Layer((35, 6, 5), 2, zero_points=(3, -90), activation=0),
    "no activation, one pixel": Layer((1, 1, 4), zero_points=(3, -4), activation=0),
    "some channels of each kind": Layer((9, 8, 24), factor=2.0**-17, bias=20_000_000, spread=(-3, 9)),
    "dead channels": Layer((6, 6, 4), weights=(-1, 1), bias=30_000_000, factor=2.0**-24),
}


GENERAL = {
    "planes larger than the image": Layer((64, 64, 2)),
    "5x5": Layer((9, 8, 8), kernel=(5, 5)),
    "5x5, no activation": Layer((9, 8, 8), kernel=(5, 5), activation=0, zero_points=(-3, 20)),
    "5x5, valid, six channels": Layer((9, 8, 6), kernel=(5, 5), padding=VALID),
    "1x7": Layer((2, 12, 5), kernel=(1, 7), zero_points=(9, -128)),
    "7x1": Layer((12, 1, 9), kernel=(7, 1), batches=2),
    "7x1, one output": Layer((7, 1, 32), kernel=(7, 1), padding=VALID),
    "1x1": Layer((4, 3, 8), kernel=(1, 1)),
    "3x3, dilated": Layer((11, 10, 4), dilation=(2, 3)),
    "3x3, dilated past the image": Layer((3, 2, 4), dilation=(4, 4)),
    "3x3, strides differ": Layer((11, 10, 4), (1, 2)),
    "3x3, stride 3": Layer((11, 10, 4), 3, padding=VALID),
    "4x2": Layer((6, 9, 7), (2, 1), kernel=(4, 2)),
    "two per channel": Layer((5, 6, 6), multiplier=2),
    "three per channel, no activation": Layer((5, 6, 2), 2, multiplier=3, activation=0, zero_points=(7, 7)),
    "general, relu6": Layer((6, 6, 8), kernel=(5, 5), activation=3, factor=1 / 6000),
    "general, dead channels": Layer((6, 6, 4), kernel=(2, 2), weights=(-1, 1), bias=30_000_000, factor=2.0**-24),
}
PORTABLE = {
    "factors above one": Layer((5, 5, 4), factor=1.5, weights=(-1, 1), bias=0),
}
ONE_CHANNEL = {"many per channel": Layer((12, 9, 1), 2, kernel=(5, 4), multiplier=8)}


def on_kernel(layer: Layer, name: str, source: str) -> tuple[bytes, CompiledModel]:
    """The general kernel takes what others are faster at, too."""
    for seed in range(TRIES):
        model = tflite(layer, seed)
        general = compile_with(model, choose_depthwise) if source == GENERAL_SOURCE else None
        compiled = general or compile_tflite(model, name=name, core=CORTEX_M4.name)
        if source in compiled.kernel_sources:
            return model, compiled
    raise AssertionError(f"{name}: not on {source} in {TRIES} tries")


GENERAL_SOURCE = "src/nn/dsp/depthwise.c"
KERNELS = {
    "src/nn/dsp/depthwise3.c": LAYERS,
    GENERAL_SOURCE: GENERAL,
    "src/nn/depthwise.c": PORTABLE,
    "src/nn/dsp/conv.c": ONE_CHANNEL,
}
NAMES = [name for layers in KERNELS.values() for name in layers]

Built = list[tuple[bytes, CompiledModel]]


@pytest.fixture(scope="module")
def built() -> Built:
    return [on_kernel(layer, name, source) for source, layers in KERNELS.items() for name, layer in layers.items()]


def samples_of(built: Built) -> list[Any]:
    return [random_samples(compiled, SAMPLES, seed) for seed, (_, compiled) in enumerate(built)]


def test_under_the_sanitizers(built: Built, tmp_path_factory: Any) -> None:
    samples = samples_of(built)
    kernels = build_kernels(tmp_path_factory.mktemp("kernels"))
    outputs = run_sanitized(kernels, [compiled for _, compiled in built], samples, "layers")
    for name, (model, _), sample, actual in zip(NAMES, built, samples, outputs, strict=True):
        assert actual == reference(model, sample), name


OVERLAPPING = {
    "bands": Layer((33, 9, 5)),
    "bands, two images": Layer((18, 18, 4), batches=2),
}


@pytest.mark.parametrize("name", OVERLAPPING)
def test_input_and_output_may_overlap_in_any_way(name: str, tmp_path_factory: Any) -> None:
    model, compiled = on_kernel(OVERLAPPING[name], name, "src/nn/dsp/depthwise3.c")
    size = compiled.inputs[0].bytes
    moved = [shifted(model, compiled, by) for by in (1 - size, -20, -4, -1, 0, 1, 4, 20, size - 1)]
    samples = random_samples(compiled, SAMPLES, 3)
    kernels = build_kernels(tmp_path_factory.mktemp("kernels"))
    outputs = run_sanitized(kernels, moved, [samples] * len(moved), "shifted")
    assert outputs == [reference(model, samples)] * len(moved)


def shifted(model: bytes, compiled: CompiledModel, by: int) -> CompiledModel:
    """The same with the input ``by`` bytes after the output, and the scratch behind both."""
    graph = run_passes(read_tflite(model), CORTEX_M4)
    size, scratch = compiled.inputs[0].bytes, graph.ops[0].payload.scratch_bytes
    end = -(-(size + abs(by)) // 4) * 4
    places = {graph.inputs[0]: max(by, 0), graph.outputs[0]: max(-by, 0), None: end}
    placements = tuple(replace(p, offset=places[p.tensor]) for p in plan_layout(graph).placements)
    layout = replace(plan_layout(graph), placements=placements, arena_bytes=end + scratch)
    return replace(compiled, files=emit_model(graph, layout, "shifted"), arena_bytes=layout.arena_bytes)


@pytest.mark.emulated
def test_on_the_emulated_board(built: Built) -> None:
    samples = samples_of(built)
    inferences = [Inference(sample[0].tobytes(), index) for index, rows in enumerate(samples) for sample in rows]
    runs = iter(measure_bare(flota_engine([c for _, c in built]), inferences, counted=False).runs)
    for name, (model, _), rows in zip(NAMES, built, samples, strict=True):
        assert [next(runs).output for _ in rows] == [b"".join(row) for row in reference(model, rows)], name


def test_a_dead_channel_does_not_prolong_a_search_that_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def searched(*arguments: Any) -> Any:
        found.append(find_scaling(*arguments))
        return found[-1]

    monkeypatch.setattr(depthwise_packing, "find_scaling", searched)
    layer = Layer((3, 3, 400), activation=0, zero_points=(-128, 3))
    (op,) = run_passes(read_tflite(tflite(layer)), CORES["portable"]).ops
    assert isinstance(op.payload, DepthwiseCall)
    weights = np.frombuffer(op.payload.weights, np.int8).reshape(3, 3, 400).copy()
    weights[..., 0] = 0
    choose_depthwise3(replace(op.payload, weights=weights.tobytes()))
    assert found[0] is not None
    assert len(found) == 1 + depthwise_packing.PATIENCE
