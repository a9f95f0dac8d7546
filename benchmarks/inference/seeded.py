"""Models that exist without any data: built from seeds with the tests' own writer of ``.tflite`` files.

Each stands for a family: a depthwise-separable network, a residual one, an autoencoder. Sizes are those of small real
models, channel counts partly no multiple of four.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "optimize" / "compiler"))

from tflite_builder import Builder, options, small_model  # type: ignore[import-not-found]

RELU = schema.ActivationFunctionType.RELU
NONE = schema.ActivationFunctionType.NONE
SAME = schema.Padding.SAME


class _Network:
    """Grows a network layer by layer; ``now`` is the tensor reached, of shape ``shape`` and scale ``scale``."""

    def __init__(self, seed: int, shape: tuple[int, ...]) -> None:
        self.rng = np.random.default_rng(seed)
        self.builder = Builder()
        self.shape, self.scale = shape, 0.05
        self.now = self.first = self.builder.tensor(shape, scale=0.05, zero_point=-4)

    def conv(self, filters: int, size: int, stride: int = 1, activation: int = RELU) -> None:
        self._convolve("CONV_2D", (filters, size, size, self.shape[3]), 0, filters, stride, activation, {})

    def depthwise(self, size: int, stride: int = 1) -> None:
        channels = self.shape[3]
        shape = (1, size, size, channels)
        self._convolve("DEPTHWISE_CONV_2D", shape, 3, channels, stride, RELU, {"depthMultiplier": 1})

    def add(self, other: int) -> None:
        output = self._output(self.shape, self.scale * 1.4)
        self.builder.op("ADD", [self.now, other], output, options("AddOptions", fusedActivationFunction=RELU))
        self._move(output, self.shape, self.scale * 1.4)

    def average(self) -> None:
        _, height, width, channels = self.shape
        output = self.builder.tensor((1, 1, 1, channels), scale=self.scale, zero_point=-10)
        fields = {"strideH": height, "strideW": width, "filterHeight": height, "filterWidth": width}
        self.builder.op("AVERAGE_POOL_2D", [self.now], output, options("Pool2DOptions", padding=1, **fields))
        flat = self.builder.tensor((1, channels), scale=self.scale, zero_point=-10)
        self.builder.op("RESHAPE", [output, self.builder.constant([1, channels])], flat)
        self._move(flat, (1, channels), self.scale)

    def dense(self, units: int, activation: int = RELU) -> None:
        depth = self.shape[-1]
        weights, bias, scale = self._weights((units, depth), 0, depth, per_channel=False)
        output = self._output((1, units), scale)
        table = options("FullyConnectedOptions", fusedActivationFunction=activation)
        self.builder.op("FULLY_CONNECTED", [self.now, weights, bias], output, table)
        self._move(output, (1, units), scale)

    def softmax(self) -> bytes:
        output = self.builder.tensor(self.shape, scale=1 / 256, zero_point=-128)
        self.builder.op("SOFTMAX", [self.now], output, options("SoftmaxOptions", beta=1.0))
        self.now = output
        return self.finish()

    def finish(self) -> bytes:
        model: bytes = self.builder.build([self.first], [self.now])
        return model

    def _convolve(
        self, name: str, shape: tuple[int, ...], axis: int, filters: int, stride: int, activation: int, extra: Any
    ) -> None:
        taps = math.prod(shape) // filters
        weights, bias, scale = self._weights(shape, axis, taps, per_channel=True)
        size = [-(-extent // stride) for extent in self.shape[1:3]]
        table = options(
            "Conv2DOptions" if axis == 0 else "DepthwiseConv2DOptions",
            padding=SAME,
            strideH=stride,
            strideW=stride,
            dilationHFactor=1,
            dilationWFactor=1,
            fusedActivationFunction=activation,
            **extra,
        )
        output = self._output((1, *size, filters), scale)
        self.builder.op(name, [self.now, weights, bias], output, table)
        self._move(output, (1, *size, filters), scale)

    def _weights(self, shape: tuple[int, ...], axis: int, taps: int, *, per_channel: bool) -> tuple[int, int, float]:
        """Weights, bias, and an output scale under which few values saturate and few vanish."""
        count = shape[axis] if per_channel else 1
        scales = (0.004 * 2.0 ** self.rng.uniform(-1, 1, count)).astype(np.float32)
        data = self.rng.integers(-127, 128, shape).astype(np.int8)
        weights = self.builder.tensor(shape, scale=[float(value) for value in scales], axis=axis, data=data)
        bias = self.builder.tensor(
            (shape[axis],),
            "int32",
            scale=[float(np.float32(self.scale) * value) for value in scales],
            data=self.rng.integers(-2_000, 2_001, shape[axis]).astype(np.int32),
        )
        return weights, bias, float(np.float32(self.scale * 0.004 * 74 * math.sqrt(taps) * 0.5))

    def _output(self, shape: tuple[int, ...], scale: float) -> int:
        tensor: int = self.builder.tensor(shape, scale=scale, zero_point=-10)
        return tensor

    def _move(self, tensor: int, shape: tuple[int, ...], scale: float) -> None:
        self.now, self.shape, self.scale = tensor, shape, scale


def separable() -> bytes:
    """Depthwise-separable, 32x32x3: the shape of keyword spotting and visual wake words."""
    network = _Network(1, (1, 32, 32, 3))
    network.conv(8, 3, 2)
    for filters, stride in ((16, 1), (30, 2), (32, 1)):
        network.depthwise(3, stride)
        network.conv(filters, 1)
    network.average()
    network.dense(5, NONE)
    return network.softmax()


def residual() -> bytes:
    """Two residual blocks, 16x16x3: the shape of image classification."""
    network = _Network(2, (1, 16, 16, 3))
    network.conv(16, 3)
    for _ in range(2):
        skipped = network.now
        network.conv(16, 3)
        network.conv(16, 3, activation=NONE)
        network.add(skipped)
    network.average()
    network.dense(10, NONE)
    return network.softmax()


def autoencoder() -> bytes:
    """Fully connected, 160 to 6 and back: the shape of anomaly detection."""
    network = _Network(3, (1, 160))
    for units in (64, 64, 6, 64, 64):
        network.dense(units)
    network.dense(160, NONE)
    return network.finish()


SEEDED: Mapping[str, Callable[[], bytes]] = {
    "seeded-small": small_model,
    "seeded-separable": separable,
    "seeded-residual": residual,
    "seeded-autoencoder": autoencoder,
}
