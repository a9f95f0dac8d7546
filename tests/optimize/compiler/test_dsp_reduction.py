"""Pools and means on the DSP extension: the interpreter's bytes for every window, channel count and clamp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from host_models import build_kernels, random_samples, reference, run_sanitized
from tflite_builder import Builder, options

from hil.bare import Inference, flota_engine, measure_bare
from optimize.compiler import CompiledModel, compile_tflite
from optimize.compiler.cores import CORTEX_M4

SAME, VALID = 0, 1


@dataclass(frozen=True)
class Pool:
    kind: str
    image: tuple[int, int, int, int]
    window: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: int = VALID
    zero_point: int = -3
    activation: int = 0


@dataclass(frozen=True)
class Mean:
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    scales: tuple[float, float] = (0.05, 0.031)
    zero_points: tuple[int, int] = (-3, 9)


POOLS = {
    "average of all": Pool("AVERAGE", (1, 25, 5, 16), (25, 5)),
    "average of more than a halfword": Pool("AVERAGE", (1, 40, 33, 4), (40, 33)),
    "average of all, two images, six channels": Pool("AVERAGE", (2, 8, 8, 6), (8, 8)),
    "average 2x2": Pool("AVERAGE", (1, 6, 8, 9), (2, 2), (2, 2)),
    "average 3x3 with borders": Pool("AVERAGE", (1, 7, 5, 8), (3, 3), padding=SAME),
    "average with windows of one": Pool("AVERAGE", (1, 5, 4, 7), (1, 1), (2, 1)),
    "average wider than the image": Pool("AVERAGE", (1, 3, 2, 4), (5, 5), padding=SAME),
    "average, relu": Pool("AVERAGE", (1, 6, 6, 5), (2, 3), activation=1),
    "average, relu6": Pool("AVERAGE", (1, 6, 6, 4), (2, 3), activation=3),
    "max 2x2": Pool("MAX", (1, 6, 8, 9), (2, 2), (2, 2)),
    "max 3x3 with borders": Pool("MAX", (2, 7, 5, 8), (3, 3), (2, 2), padding=SAME),
    "max of all": Pool("MAX", (1, 5, 6, 5), (5, 6)),
    "max, relu": Pool("MAX", (1, 6, 6, 6), (2, 3), activation=1),
}
MEANS = {
    "mean of all pixels": Mean((1, 9, 7, 8), (1, 2)),
    "mean of rows": Mean((2, 9, 7, 5), (1,)),
    "mean of columns": Mean((2, 9, 7, 6), (2,)),
    "mean of batches and rows": Mean((3, 4, 5, 9), (0, 1)),
    "mean of more than a halfword": Mean((1, 30, 29, 4), (1, 2), zero_points=(-128, 127)),
    "mean of a sequence": Mean((1, 300, 12), (1,)),
}


def pool(case: Pool) -> bytes:
    b = Builder()
    sides = []
    for axis in range(2):
        free = case.image[1 + axis] if case.padding == SAME else case.image[1 + axis] - case.window[axis] + 1
        sides.append(-(-free // case.stride[axis]))
    x = b.tensor(case.image, scale=0.05, zero_point=case.zero_point)
    y = b.tensor((case.image[0], *sides, case.image[3]), scale=0.05, zero_point=case.zero_point)
    fields = options(
        "Pool2DOptions",
        padding=case.padding,
        strideH=case.stride[0],
        strideW=case.stride[1],
        filterHeight=case.window[0],
        filterWidth=case.window[1],
        fusedActivationFunction=case.activation,
    )
    b.op(f"{case.kind}_POOL_2D", [x], y, fields)
    return b.build([x], [y])


def mean(case: Mean) -> bytes:
    b = Builder()
    x = b.tensor(case.shape, scale=case.scales[0], zero_point=case.zero_points[0])
    kept = tuple(size for axis, size in enumerate(case.shape) if axis not in case.axes)
    y = b.tensor(kept, scale=case.scales[1], zero_point=case.zero_points[1])
    b.op("MEAN", [x, b.constant(list(case.axes))], y, options("ReducerOptions", keepDims=False))
    return b.build([x], [y])


NAMES = [*POOLS, *MEANS]


@pytest.fixture(scope="module")
def models() -> list[bytes]:
    return [*map(pool, POOLS.values()), *map(mean, MEANS.values())]


@pytest.fixture(scope="module")
def compiled(models: list[bytes]) -> list[CompiledModel]:
    return [compile_tflite(model, name=name, core=CORTEX_M4.name) for name, model in zip(NAMES, models, strict=True)]


def samples_of(compiled: list[CompiledModel]) -> list[Any]:
    """Random values, the extremes, and small ones: the halves that rounding is about."""
    small = np.random.default_rng(3)
    samples = []
    for item in compiled:
        near = small.integers(-4, 3, item.inputs[0].shape).astype(np.int8)
        samples.append([*random_samples(item, 4, 5), [near]])
    return samples


def test_each_is_on_the_dsp_extension(compiled: list[CompiledModel]) -> None:
    for item in compiled:
        assert all(source.startswith("src/nn/dsp/") for source in item.kernel_sources)


def test_under_the_sanitizers(compiled: list[CompiledModel], models: list[bytes], tmp_path_factory: Any) -> None:
    samples = samples_of(compiled)
    outputs = run_sanitized(build_kernels(tmp_path_factory.mktemp("kernels")), compiled, samples, "reductions")
    for name, model, sample, actual in zip(NAMES, models, samples, outputs, strict=True):
        assert actual == reference(model, sample), name


@pytest.mark.emulated
def test_on_the_emulated_board(compiled: list[CompiledModel], models: list[bytes]) -> None:
    samples = samples_of(compiled)
    inferences = [Inference(sample[0].tobytes(), index) for index, rows in enumerate(samples) for sample in rows]
    runs = iter(measure_bare(flota_engine(compiled), inferences, counted=False).runs)
    for name, model, rows in zip(NAMES, models, samples, strict=True):
        assert [next(runs).output for _ in rows] == [b"".join(row) for row in reference(model, rows)], name
