"""Models of one depthwise convolution, and what stands for it on a core."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from tflite_builder import Builder, options

from optimize.compiler import CompiledModel, compile_tflite
from optimize.compiler.cores import PORTABLE
from optimize.compiler.emit import emit_model
from optimize.compiler.kernels import DepthwiseCall, Kernel
from optimize.compiler.layout import plan_layout
from optimize.compiler.passes import run_passes
from optimize.compiler.reader import read_tflite
from optimize.compiler.verify import verify

SAME, VALID = 0, 1


@dataclass(frozen=True)
class Layer:
    """A depthwise convolution of ``image`` (height, width, channels)."""

    image: tuple[int, int, int]
    stride: int | tuple[int, int] = 1
    padding: int = SAME
    kernel: tuple[int, int] = (3, 3)
    batches: int = 1
    zero_points: tuple[int, int] = (-128, -128)
    activation: int = 1
    weights: tuple[int, int] = (-127, 127)
    bias: int = 9_000
    factor: float = 1.0 / 200
    spread: tuple[float, float] = (-2, 1)
    dilation: tuple[int, int] = (1, 1)
    multiplier: int = 1
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Above, below, left and right, by a PAD in front; with VALID it becomes part of the convolution."""


def tflite(layer: Layer, seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    b, channels = Builder(), layer.image[2] * layer.multiplier
    scales = [float(np.float32(layer.factor * s)) for s in 2.0 ** rng.uniform(*layer.spread, channels)]
    shape = (1, *layer.kernel, channels)
    low, high = layer.weights
    weights = b.tensor(shape, scale=scales, axis=3, data=rng.integers(low, high + 1, shape).astype(np.int8))
    bias = rng.integers(-layer.bias, layer.bias + 1, channels).astype(np.int32)
    biases = b.tensor((channels,), "int32", scale=scales, data=bias)
    x = b.tensor((layer.batches, *layer.image), scale=1.0, zero_point=layer.zero_points[0])
    padded = _pad(b, x, layer)
    y = b.tensor(_output_shape(layer), scale=1.0, zero_point=layer.zero_points[1])
    fields = options(
        "DepthwiseConv2DOptions",
        padding=layer.padding,
        strideH=_pair(layer.stride)[0],
        strideW=_pair(layer.stride)[1],
        dilationHFactor=layer.dilation[0],
        dilationWFactor=layer.dilation[1],
        depthMultiplier=layer.multiplier,
        fusedActivationFunction=layer.activation,
    )
    b.op("DEPTHWISE_CONV_2D", [padded, weights, biases], y, fields)
    return b.build([x], [y])


def _pad(b: Builder, x: int, layer: Layer) -> int:
    if not any(layer.pads):
        return x
    shape = (layer.batches, *_padded(layer), layer.image[2])
    target = b.tensor(shape, scale=1.0, zero_point=layer.zero_points[0])
    return b.op("PAD", [x, b.constant([0, 0, *layer.pads, 0, 0], (4, 2))], target, options("PadOptions"))


def _padded(layer: Layer) -> tuple[int, int]:
    above, below, left, right = layer.pads
    return layer.image[0] + above + below, layer.image[1] + left + right


def _pair(stride: int | tuple[int, int]) -> tuple[int, int]:
    return (stride, stride) if isinstance(stride, int) else stride


def _output_shape(layer: Layer) -> tuple[int, ...]:
    sides, image = [], _padded(layer)
    for axis, stride in enumerate(_pair(layer.stride)):
        reach = (layer.kernel[axis] - 1) * layer.dilation[axis] + 1
        sides.append(-(-(image[axis] if layer.padding == SAME else image[axis] - reach + 1) // stride))
    return (layer.batches, *sides, layer.image[2] * layer.multiplier)


def compile_with(model: bytes, choice: Callable[[DepthwiseCall], Kernel | None]) -> CompiledModel | None:
    """The model on the kernel that ``choice`` makes of its portable call, whether or not the compiler would take it."""
    graph = run_passes(read_tflite(model), PORTABLE)
    (op,) = graph.ops
    assert isinstance(op.payload, DepthwiseCall)
    chosen = choice(op.payload)
    if chosen is None:
        return None
    graph = verify(graph.with_ops((replace(op, payload=chosen),)))
    layout = plan_layout(graph)
    return replace(
        compile_tflite(model, name="layer"),
        files=emit_model(graph, layout, "layer"),
        arena_bytes=layout.arena_bytes,
        kernel_sources=chosen.sources,
    )
