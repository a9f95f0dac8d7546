"""Convolutions and fully connected layers on the DSP extension: the interpreter's bytes at every edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from bare_models import run_emulated
from host_models import build_kernels, random_samples, reference, run_sanitized
from tflite_builder import Builder, options

from optimize.compiler import CompiledModel, compile_tflite

SAME, VALID = 0, 1
SAMPLES = 4


@dataclass(frozen=True)
class Layer:
    """A convolution of ``image`` (height, width, channels), or a fully connected layer of as many inputs."""

    image: tuple[int, int, int]
    filters: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: int = VALID
    activation: int = 0
    weights: tuple[int, int] = (-127, 127)
    spread: float = 1.0
    factor: float = 1.0 / 300
    bias: int = 2000
    zero_points: tuple[int, int] = (-3, 5)
    groups: int = 1
    dense: bool = False
    batches: int = 1
    wide: bool = False
    """Whether the packed product cannot be exact here."""


LAYERS = {
    "pointwise": Layer((5, 5, 8), 8),
    "pointwise, nothing divides by four": Layer((3, 5, 7), 5),
    "pointwise, one pixel": Layer((1, 1, 16), 6, dense=False),
    "pointwise, one channel": Layer((4, 3, 1), 1),
    "pointwise, growing": Layer((4, 6, 4), 13, batches=2),
    "pointwise, a turn and one step": Layer((2, 3, 18), 4),
    "first layer": Layer((9, 7, 3), 10, (3, 3), (2, 2), padding=SAME),
    "first layer, one channel": Layer((12, 10, 1), 9, (10, 4), (2, 2), padding=SAME),
    "3x3": Layer((6, 6, 8), 12, (3, 3), padding=SAME),
    "3x3, odd channels": Layer((5, 7, 6), 3, (3, 3), padding=SAME),
    "3x3, dilated": Layer((9, 9, 4), 8, (3, 3), dilation=(2, 2), padding=SAME),
    "3x3, dilated across": Layer((9, 9, 3), 8, (3, 3), dilation=(1, 3), padding=SAME),
    "3x3, stride past the window": Layer((9, 9, 4), 5, (2, 2), (3, 3)),
    "1x5 and one column": Layer((1, 12, 5), 7, (1, 5), padding=SAME),
    "5x1": Layer((12, 1, 5), 7, (5, 1), padding=SAME),
    "window larger than the image": Layer((2, 2, 4), 4, (5, 5), padding=SAME),
    "window covers the image": Layer((4, 3, 5), 9, (4, 3)),
    "relu6": Layer((4, 4, 8), 8, activation=3, zero_points=(4, -100)),
    "relu": Layer((4, 4, 8), 8, activation=1, zero_points=(4, -128)),
    "zero points at the ends": Layer((4, 4, 8), 8, (3, 3), padding=SAME, zero_points=(127, -128)),
    "zero points at the other ends": Layer((4, 4, 8), 8, (3, 3), padding=SAME, zero_points=(-128, 127)),
    "factors spread": Layer((4, 4, 8), 16, spread=1024.0),
    "dead channels": Layer((4, 4, 8), 16, weights=(0, 0), bias=1 << 30, factor=2.0**-26),
    "all weights 127": Layer((4, 4, 16), 8, weights=(127, 127)),
    "all weights -127": Layer((4, 4, 16), 8, weights=(-127, -127)),
    "weights of -128": Layer((4, 4, 12), 6, weights=(-128, -127), wide=True),
    "factor near one": Layer((4, 4, 6), 5, weights=(-1, 1), factor=0.9, wide=True),
    "factor above one": Layer((4, 4, 3), 5, weights=(-1, 1), factor=3.0, wide=True),
    "sums past 24 bits": Layer((5, 5, 800), 3, (3, 3), weights=(90, 127), factor=1e-6, wide=True),
    "biases past 24 bits": Layer((3, 3, 7), 6, (2, 2), bias=1 << 24, factor=2.0**-17, wide=True),
    "3x3 in groups": Layer((6, 5, 8), 12, (3, 3), padding=SAME, groups=4, batches=2),
    "1x1 in groups": Layer((4, 5, 24), 10, groups=2),
    "4x1 in groups, strided": Layer((9, 6, 18), 6, (4, 1), (2, 3), padding=SAME, groups=3, spread=0.0),
    "small groups": Layer((4, 4, 6), 6, (1, 1), groups=3),
    "small groups, strided": Layer((7, 5, 12), 18, (3, 1), (2, 1), padding=SAME, groups=6),
    "groups too small": Layer((2, 2, 132), 66, (1, 1), groups=66),
    "too many groups": Layer((3, 2, 65), 65, (3, 3), padding=SAME, groups=65),
    "dense": Layer((1, 1, 32), 10, dense=True),
    "dense, nothing divides by four": Layer((1, 1, 37), 11, dense=True, batches=3),
    "dense, wide": Layer((1, 1, 37), 11, dense=True, batches=3, weights=(-128, -127), wide=True),
    "dense, wide in pairs": Layer((1, 1, 6), 2, dense=True, weights=(-128, -127), wide=True),
    "dense, one scale": Layer((1, 1, 20), 9, dense=True, spread=0.0),
}


def tflite(layer: Layer) -> bytes:
    rng = np.random.default_rng(sum(layer.image) + layer.filters)
    b, (height, width, channels) = Builder(), layer.image
    scales = _scales(layer, rng)
    bias = rng.integers(-layer.bias, layer.bias + 1, layer.filters).astype(np.int32)
    low, high = layer.weights
    taps = () if layer.dense else layer.kernel
    shape = (layer.filters, *taps, channels // layer.groups)
    weights = b.tensor(shape, scale=scales, data=rng.integers(low, high + 1, shape).astype(np.int8))
    biases = b.tensor((layer.filters,), "int32", scale=scales, data=bias)
    in_zero, out_zero = layer.zero_points
    image = (layer.batches, channels) if layer.dense else (layer.batches, height, width, channels)
    x = b.tensor(image, scale=1.0, zero_point=in_zero)
    y = b.tensor(_output_shape(layer), scale=1.0, zero_point=out_zero)
    b.op("FULLY_CONNECTED" if layer.dense else "CONV_2D", [x, weights, biases], y, _options(layer))
    return b.build([x], [y])


def _scales(layer: Layer, rng: np.random.Generator) -> float | list[float]:
    if layer.spread == 0.0:
        return layer.factor
    return [float(np.float32(layer.factor * s)) for s in layer.spread ** -rng.uniform(0, 1, layer.filters)]


def _output_shape(layer: Layer) -> tuple[int, ...]:
    if layer.dense:
        return (layer.batches, layer.filters)
    sides = []
    for axis in range(2):
        reach = (layer.kernel[axis] - 1) * layer.dilation[axis] + 1
        free = layer.image[axis] if layer.padding == SAME else layer.image[axis] - reach + 1
        sides.append(-(-free // layer.stride[axis]))
    return (layer.batches, *sides, layer.filters)


def _options(layer: Layer) -> Any:
    if layer.dense:
        return options("FullyConnectedOptions", fusedActivationFunction=layer.activation)
    return options(
        "Conv2DOptions",
        padding=layer.padding,
        strideH=layer.stride[0],
        strideW=layer.stride[1],
        dilationHFactor=layer.dilation[0],
        dilationWFactor=layer.dilation[1],
        fusedActivationFunction=layer.activation,
    )


@pytest.fixture(scope="module")
def models() -> list[bytes]:
    return [tflite(layer) for layer in LAYERS.values()]


@pytest.fixture(scope="module")
def compiled(models: list[bytes]) -> list[CompiledModel]:
    return [compile_tflite(model, name=name, core="cortex-m4") for name, model in zip(LAYERS, models, strict=True)]


def samples_of(compiled: list[CompiledModel]) -> list[Any]:
    return [random_samples(item, SAMPLES, seed) for seed, item in enumerate(compiled)]


def test_every_layer_is_on_a_dsp_kernel(compiled: list[CompiledModel]) -> None:
    wide = {
        name for name, item in zip(LAYERS, compiled, strict=True) if "src/nn/dsp/gemm_wide.c" in item.kernel_sources
    }
    assert wide == {name for name, layer in LAYERS.items() if layer.wide}
    portable = {name for name, item in zip(LAYERS, compiled, strict=True) if "src/nn/conv.c" in item.kernel_sources}
    assert portable == {"groups too small", "too many groups"}


def test_under_the_sanitizers(compiled: list[CompiledModel], models: list[bytes], tmp_path_factory: Any) -> None:
    samples = samples_of(compiled)
    outputs = run_sanitized(build_kernels(tmp_path_factory.mktemp("kernels")), compiled, samples, "layers")
    for name, model, sample, actual in zip(LAYERS, models, samples, outputs, strict=True):
        assert actual == reference(model, sample), name


@pytest.mark.emulated
def test_on_the_emulated_board(compiled: list[CompiledModel], models: list[bytes]) -> None:
    samples = samples_of(compiled)
    outputs = run_emulated(compiled, samples)
    for name, model, rows, actual in zip(LAYERS, models, samples, outputs, strict=True):
        assert actual == reference(model, rows), name
