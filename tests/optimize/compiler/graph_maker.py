"""Grows a random int8 graph step by step; ``graph_steps.py`` holds the steps, ``random_graphs.py`` puts them together.

Where numbers come from is a ``Choices``: a seed (fast, a graph by its number) or hypothesis (which can shrink).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from ai_edge_litert import schema_py_generated as s
from hypothesis import strategies as st
from tflite_builder import Builder, options

SAME, VALID = s.Padding.SAME, s.Padding.VALID
ACTIVATIONS = (0, 0, 1, 2, 3)
"""NONE (twice as often), RELU, RELU_N1_TO_1, RELU6."""
INT32_MAX = 2**31 - 1
MIN_SCALE, MAX_SCALE = 2.0**-26, 8.0
"""Beyond these the interpreter's own shifts are undefined; no real tensor comes near."""
MAX_INPUT = 4_000
"""Elements of the first input."""
MAX_MACS = 120_000
"""Multiplications of one operator, so that thousands of graphs run on an emulator in minutes."""


class Choices(Protocol):
    """Where a graph's structure is drawn from."""

    def number(self, low: int, high: int) -> int:
        """An integer from ``low`` to ``high``, both included."""

    def pick(self, *values: Any) -> Any:
        """One of ``values``."""

    def order(self, count: int) -> list[int]:
        """A permutation of ``range(count)``."""


class SeededChoices:
    """The same graph for the same seed, on every machine and Python."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def pick(self, *values: Any) -> Any:
        return values[self._random.randrange(len(values))]

    def order(self, count: int) -> list[int]:
        return self._random.sample(range(count), count)


class DrawnChoices:
    """Choices hypothesis draws, so that it can shrink a graph that fails."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self._draw = draw

    def number(self, low: int, high: int) -> int:
        return int(self._draw(st.integers(low, high)))

    def pick(self, *values: Any) -> Any:
        return self._draw(st.sampled_from(values))

    def order(self, count: int) -> list[int]:
        return list(self._draw(st.permutations(range(count))))


class Maker:
    """A graph that grows from one current tensor (``now``); ``history`` holds all int8 activations made so far."""

    def __init__(self, choices: Choices) -> None:
        self.choices, self.number, self.pick = choices, choices.number, choices.pick
        self.b = Builder()
        self.rng = np.random.default_rng(choices.number(0, 2**32 - 1))
        self.extreme = self.pick(False, False, True)
        self.history: list[int] = []
        size = self.pick((1, 9), (1, 9), (8, 16))
        batch, height, width = self.pick(1, 1, 1, 2, 3), self.number(*size), self.number(*size)
        channels = max(1, min(self.channels(), MAX_INPUT // (batch * height * width)))
        self.now = self.activation((batch, height, width, channels))
        self.inputs = [self.now]

    def channels(self) -> int:
        """Counts that are no multiple of a vector, and some that are."""
        return int(self.pick(1, 2, 3, 4, 5, 7, 8, 10, 12, 16, 17, 24, 32, 33, 64))

    def chance(self, percent: int) -> bool:
        return self.number(1, 100) <= percent

    def scale(self) -> float:
        """A float32 scale between 2**-12 and 4; in extreme graphs between 2**-20 and 8."""
        low, high = (-20, 3) if self.extreme else (-12, 2)
        return float(np.float32(2.0 ** self.rng.uniform(low, high)))

    def near(self, scale: float, low: float, high: float) -> float:
        """``scale`` times a power of two with an exponent between ``low`` and ``high``, as float32."""
        return float(np.float32(scale * 2.0 ** self.rng.uniform(low, high)))

    def zero_point(self) -> int:
        return int(self.pick(0, -128, 127, int(self.rng.integers(-128, 128))))

    def activation(self, shape: tuple[int, ...], scale: float | None = None, zero_point: int | None = None) -> int:
        """A tensor computed at run time, with a random quantization where none is given."""
        tensor = self.b.tensor(
            shape,
            scale=min(max(self.scale() if scale is None else scale, MIN_SCALE), MAX_SCALE),
            zero_point=self.zero_point() if zero_point is None else zero_point,
        )
        self.history.append(tensor)
        return tensor

    def constant(self, shape: tuple[int, ...], scale: float, zero_point: int) -> int:
        """An int8 constant."""
        return self.b.tensor(
            shape, scale=min(max(scale, MIN_SCALE), MAX_SCALE), zero_point=zero_point, data=self.values(shape)
        )

    def values(self, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """int8 data: random, or all the same extreme, or mostly zero."""
        kind = self.pick("random", "random", "random", "random", -127, 127, -128, "sparse")
        if not isinstance(kind, str):
            return np.full(shape, kind, np.int8)
        data = self.rng.integers(self.pick(-127, -128), 128, shape).astype(np.int8)
        return data * (self.rng.random(shape) < 0.1) if kind == "sparse" else data

    def shape(self, tensor: int | None = None) -> tuple[int, ...]:
        return tuple(self.b.tensors[self.now if tensor is None else tensor].shape)

    def quant(self, tensor: int | None = None) -> tuple[float, int]:
        q = self.b.tensors[self.now if tensor is None else tensor].quantization
        return float(np.float32(q.scale[0])), q.zeroPoint[0]

    def same_quant(self, shape: tuple[int, ...]) -> int:
        return self.activation(shape, *self.quant())

    def step(self, name: str, inputs: list[int], output: int, table: Any = None) -> None:
        """Append an operator and go on from its output."""
        self.now = self.b.op(name, inputs, output, table)

    def as_quant(self, tensor: int, scale: float, zero_point: int) -> int:
        """``tensor`` requantized, where it is quantized otherwise; concatenations need their inputs alike."""
        if self.quant(tensor) == (scale, zero_point):
            return tensor
        return self.b.op("QUANTIZE", [tensor], self.activation(self.shape(tensor), scale, zero_point))

    def earlier(self, fits: Callable[[tuple[int, ...]], bool]) -> int | None:
        """One of the tensors made so far (a graph input too) whose shape ``fits``; so branches come about."""
        found = [tensor for tensor in self.history if tensor != self.now and fits(self.shape(tensor))]
        return self.pick(*found) if found else None

    def weights(self, shape: tuple[int, ...], axis: int) -> tuple[list[int], float]:
        """([weights] or [weights, bias], an output scale that neither saturates everything nor rounds it away)."""
        channels = shape[axis]
        data = self.values(shape)
        reach = np.abs(data.astype(np.int64)).sum(axis=tuple(a for a in range(len(shape)) if a != axis)) * 255
        bias = self.bias(channels, reach) if self.chance(70) else None
        base, spread = 2.0 ** self.rng.uniform(-9, -2), self.pick(0, 2, 2, 5)
        count = channels if spread else 1
        scales = np.float32(base * 2.0 ** self.rng.uniform(-spread, spread, count))
        in_scale = self.quant()[0]
        operands = [self.b.tensor(shape, scale=[float(v) for v in scales], axis=axis, data=data)]
        if bias is not None:
            bias_scale = [float(np.float32(in_scale * v)) for v in scales]
            operands.append(self.b.tensor((channels,), "int32", scale=bias_scale, data=bias))
        sums = reach if bias is None else reach + np.abs(bias.astype(np.int64))
        return operands, self.output_scale(in_scale, scales, sums, reach)

    def bias(self, channels: int, reach: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Biases up to what int32 sums allow; ``reach`` bounds the products' sums."""
        kind = self.pick(0, 1_000, 100_000, 2_000_000, "largest" if self.extreme else 30_000_000)
        if kind == "largest":
            return ((INT32_MAX - reach) * self.rng.choice((-1, 1), channels)).astype(np.int32)
        return self.rng.integers(-kind, kind + 1, channels).astype(np.int32)

    def output_scale(self, in_scale: float, scales: Any, sums: Any, reach: Any) -> float:
        """A scale for sums of that size; where they are multiplied up, no shift leaves 32 bits."""
        typical = float(np.median(np.maximum(reach / 12, sums - reach) * scales)) * in_scale / 90
        wanted = self.near(max(typical, 2.0**-30), -4, 3)
        # A left shift of s makes sum * 2**s; beyond 32 bits the interpreter's result is undefined.
        factor = INT32_MAX / 4 / max(int(sums.max()), 1)
        return max(wanted, float(np.float32(in_scale * float(scales.max()) / factor)))

    def kernel(self) -> tuple[int, int]:
        """(height, width) of a window: 1x1 to 7x7, rows and columns."""
        kind = self.pick("point", "three", "square", "any", "row", "column")
        n = self.number(1, 7)
        sizes = {"point": (1, 1), "three": (3, 3), "square": (n, n), "row": (1, n), "column": (n, 1)}
        return sizes.get(kind) or (self.number(1, 5), self.number(1, 5))

    def dilation(self) -> tuple[int, int]:
        return (self.pick(1, 1, 2, 3), self.pick(1, 1, 2)) if self.chance(25) else (1, 1)

    def window(self, kernel: tuple[int, int], dilation: tuple[int, int]) -> tuple[dict[str, int], tuple[int, int]]:
        """(options padding and strides, output size); VALID only where the window fits."""
        size = self.shape()[1:3]
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        fits = all(r <= extent for r, extent in zip(reach, size, strict=True))
        padding = self.pick(SAME, VALID) if fits else SAME
        strides = self.pick((1, 1), (1, 1), (2, 2), (self.number(1, 3), self.number(1, 3)))
        if padding == SAME:
            out = [-(-extent // stride) for extent, stride in zip(size, strides, strict=True)]
        else:
            out = [(e - r) // stride + 1 for e, r, stride in zip(size, reach, strides, strict=True)]
        return {"padding": padding, "strideH": strides[0], "strideW": strides[1]}, (out[0], out[1])

    def activated(self, kind: str, **fields: Any) -> Any:
        """Options with a random fused activation."""
        return options(kind, fusedActivationFunction=self.pick(*ACTIVATIONS), **fields)

    def elements(self) -> int:
        return math.prod(self.shape())
