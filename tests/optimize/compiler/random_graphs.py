"""Random small int8 graphs for the differential test: shapes, strides, paddings, dilations, quantization extremes.

Hypothesis draws the structure, a seeded generator the weights. Every graph is one the interpreter accepts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as s
from hypothesis import strategies as st
from tflite_builder import Builder, options

SAME, VALID = s.Padding.SAME, s.Padding.VALID
ACTIVATIONS = (0, 0, 1, 2, 3)
"""NONE (twice as often), RELU, RELU_N1_TO_1, RELU6."""


class Maker:
    """Grows a graph from one current tensor of known shape, scale and zero point."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self.draw = draw
        self.b = Builder()
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        shape = (
            draw(st.sampled_from((1, 1, 1, 2))),
            draw(st.integers(1, 9)),
            draw(st.integers(1, 9)),
            draw(st.integers(1, 7)),
        )
        self.now = self.activation(shape)
        self.inputs = [self.now]

    def pick(self, *values: Any) -> Any:
        return self.draw(st.sampled_from(values))

    def number(self, low: int, high: int) -> int:
        value: int = self.draw(st.integers(low, high))
        return value

    def scale(self) -> float:
        """A float32 scale between 2**-12 and 4."""
        return float(np.float32(2.0 ** self.rng.uniform(-12, 2)))

    def zero_point(self) -> int:
        return int(self.pick(0, -128, 127, int(self.rng.integers(-128, 128))))

    def activation(self, shape: tuple[int, ...], scale: float | None = None, zero_point: int | None = None) -> int:
        scale = self.scale() if scale is None else scale
        # Beyond this the interpreter's own shifts are undefined; no real tensor comes near.
        return self.b.tensor(
            shape,
            scale=min(scale, 8.0),
            zero_point=self.zero_point() if zero_point is None else zero_point,
        )

    def shape(self, tensor: int | None = None) -> tuple[int, ...]:
        return tuple(self.b.tensors[self.now if tensor is None else tensor].shape)

    def quant(self, tensor: int | None = None) -> tuple[float, int]:
        q = self.b.tensors[self.now if tensor is None else tensor].quantization
        return float(np.float32(q.scale[0])), q.zeroPoint[0]

    def same_quant(self, shape: tuple[int, ...]) -> int:
        scale, zero_point = self.quant()
        return self.activation(shape, scale, zero_point)

    def weights(self, shape: tuple[int, ...], axis: int, taps: int) -> tuple[int, int | None, float]:
        """(weights, bias or None, an output scale that neither saturates everything nor rounds it away)."""
        channels = shape[axis]
        count = channels if self.pick(True, True, False) else 1
        base = 2.0 ** self.rng.uniform(-9, -2)
        scales = np.float32(base * 2.0 ** self.rng.uniform(-2, 2, count))
        low = self.pick(-127, -128)
        data = self.rng.integers(low, 128, shape).astype(np.int8)
        weights = self.b.tensor(shape, scale=[float(v) for v in scales], axis=axis, data=data)
        in_scale = np.float32(self.quant()[0])
        bias = None
        if self.pick(True, True, False):
            reach = self.pick(1_000, 100_000, 2_000_000)
            bias = self.b.tensor(
                (channels,),
                "int32",
                scale=[float(in_scale * v) for v in scales],
                data=self.rng.integers(-reach, reach + 1, channels).astype(np.int32),
            )
        spread = 74 * 100 * math.sqrt(taps) * float(in_scale) * base / 60
        return weights, bias, float(np.float32(spread * 2.0 ** self.rng.uniform(-4, 4)))

    def window(self, kernel: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int, int, tuple[int, int]]:
        """(padding, stride y, stride x, output size); VALID only where the window fits."""
        size = self.shape()[1:3]
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        fits = all(r <= extent for r, extent in zip(reach, size, strict=True))
        padding = self.pick(SAME, VALID) if fits else SAME
        strides = self.number(1, 3), self.number(1, 3)
        if padding == SAME:
            out = [-(-extent // stride) for extent, stride in zip(size, strides, strict=True)]
        else:
            out = [(e - r) // stride + 1 for e, r, stride in zip(size, reach, strides, strict=True)]
        return padding, *strides, (out[0], out[1])

    def conv(self) -> None:
        batch, _, _, channels = self.shape()
        groups = self.pick(1, 1, 1, *(g for g in (2, 3) if channels % g == 0))
        filters = groups * self.number(1, 5)
        kernel, dilation = (self.number(1, 4), self.number(1, 4)), (self.pick(1, 1, 2), self.pick(1, 1, 3))
        padding, stride_y, stride_x, out = self.window(kernel, dilation)
        depth = channels // groups
        weights, bias, scale = self.weights((filters, *kernel, depth), 0, kernel[0] * kernel[1] * depth)
        output = self.activation((batch, *out, filters), scale)
        self.emit("CONV_2D", [weights, bias], output, "Conv2DOptions", padding, stride_y, stride_x, dilation)

    def depthwise(self) -> None:
        batch, _, _, channels = self.shape()
        multiplier = self.pick(1, 1, 2, 3)
        kernel, dilation = (self.number(1, 4), self.number(1, 4)), (self.pick(1, 1, 2), self.pick(1, 1, 3))
        padding, stride_y, stride_x, out = self.window(kernel, dilation)
        weights, bias, scale = self.weights((1, *kernel, channels * multiplier), 3, kernel[0] * kernel[1])
        output = self.activation((batch, *out, channels * multiplier), scale)
        self.emit(
            "DEPTHWISE_CONV_2D",
            [weights, bias],
            output,
            "DepthwiseConv2DOptions",
            padding,
            stride_y,
            stride_x,
            dilation,
            depthMultiplier=multiplier,
        )

    def emit(
        self,
        name: str,
        operands: list[int | None],
        output: int,
        kind: str,
        padding: int,
        stride_y: int,
        stride_x: int,
        dilation: tuple[int, int],
        **extra: int,
    ) -> None:
        table = options(
            kind,
            padding=padding,
            strideH=stride_y,
            strideW=stride_x,
            dilationHFactor=dilation[0],
            dilationWFactor=dilation[1],
            fusedActivationFunction=self.pick(*ACTIVATIONS),
            **extra,
        )
        self.step(name, [self.now, *(o for o in operands if o is not None)], output, table)

    def step(self, name: str, inputs: list[int], output: int, table: Any = None) -> None:
        self.now = self.b.op(name, inputs, output, table)

    def fully_connected(self) -> None:
        shape = self.shape()
        depth = shape[-1] if self.pick(True, False) else math.prod(shape[1:])
        batches = math.prod(shape) // depth
        units = self.number(1, 9)
        weights, bias, scale = self.weights((units, depth), 0, depth)
        output = self.activation((batches, units), scale)
        table = options("FullyConnectedOptions", fusedActivationFunction=self.pick(*ACTIVATIONS))
        self.step("FULLY_CONNECTED", [self.now, weights, -1 if bias is None else bias], output, table)

    def pool(self) -> None:
        batch, height, width, channels = self.shape()
        kernel = self.number(1, min(5, height + 1)), self.number(1, min(5, width + 1))
        padding, stride_y, stride_x, out = self.window(kernel, (1, 1))
        table = options(
            "Pool2DOptions",
            padding=padding,
            strideH=stride_y,
            strideW=stride_x,
            filterHeight=kernel[0],
            filterWidth=kernel[1],
            fusedActivationFunction=self.pick(*ACTIVATIONS),
        )
        output = self.same_quant((batch, *out, channels))
        self.step(self.pick("AVERAGE_POOL_2D", "MAX_POOL_2D"), [self.now], output, table)

    def mean(self) -> None:
        shape = self.shape()
        rank = len(shape)
        axes = self.draw(st.sets(st.integers(0, rank - 1), min_size=1, max_size=rank))
        keep = self.pick(True, False)
        kept = [1 if a in axes else n for a, n in enumerate(shape) if keep or a not in axes]
        named = [axis - rank if self.pick(True, False) else axis for axis in sorted(axes)]
        scale = float(np.float32(self.quant()[0] * 2.0 ** self.rng.uniform(-2, 1)))
        output = self.activation(tuple(kept), scale)
        self.step("MEAN", [self.now, self.b.constant(named)], output, options("ReducerOptions", keepDims=keep))

    def binary(self) -> None:
        name = self.pick("ADD", "SUB", "MUL")
        other = self.operand()
        left, right = self.quant()[0], self.quant(other)[0]
        spread = left * right * 100 if name == "MUL" else max(left, right)
        out_shape = np.broadcast_shapes(self.shape(), self.shape(other))
        output = self.activation(tuple(out_shape), float(np.float32(spread * 2.0 ** self.rng.uniform(-2, 3))))
        operands = [self.now, other] if self.pick(True, False) else [other, self.now]
        kind = name.capitalize() + "Options"
        self.step(name, operands, output, options(kind, fusedActivationFunction=self.pick(*ACTIVATIONS)))

    def operand(self) -> int:
        """A second operand: the same tensor, a constant that broadcasts, or another graph input."""
        shape = self.shape()
        kind = self.pick("self", "constant", "input")
        if kind == "self":
            return self.now
        mixed = tuple(self.pick(n, n, 1) for n in shape)[self.pick(0, 0, min(1, len(shape) - 1)) :]
        scale = float(np.float32(self.quant()[0] * 2.0 ** self.rng.uniform(-3, 3)))
        if kind == "input":
            tensor = self.activation(mixed, scale)
            self.inputs.append(tensor)
            return tensor
        data = self.rng.integers(-128, 128, mixed).astype(np.int8)
        return self.b.tensor(mixed, scale=scale, zero_point=self.zero_point(), data=data)

    def pad(self) -> None:
        shape = self.shape()
        image_only = self.pick(True, True, False)
        amounts = [
            (self.number(0, 2), self.number(0, 2)) if not image_only or axis in (1, 2) else (0, 0)
            for axis in range(len(shape))
        ]
        output = self.same_quant(tuple(n + a + b for n, (a, b) in zip(shape, amounts, strict=True)))
        flat = [n for pair in amounts for n in pair]
        self.step("PAD", [self.now, self.b.constant(flat, (len(shape), 2))], output, options("PadOptions"))

    def padded_conv(self) -> None:
        self.pad()
        self.pick(self.conv, self.depthwise)()

    def reshape(self) -> None:
        shape = self.shape()
        name = self.pick("RESHAPE", "EXPAND_DIMS", "SQUEEZE")
        if name == "RESHAPE":
            total = math.prod(shape)
            new = self.pick((shape[0], total // shape[0]), (total,), (1, total // shape[-1], shape[-1]))
            self.step(name, [self.now, self.b.constant(new)], self.same_quant(new), options("ReshapeOptions"))
        elif name == "EXPAND_DIMS":
            self.step(name, [self.now, self.b.constant([1])], self.same_quant((shape[0], 1, *shape[1:])))
        else:
            new = tuple(n for n in shape if n != 1)
            self.step(name, [self.now], self.same_quant(new), options("SqueezeOptions"))

    def unary(self) -> None:
        name = self.pick("RELU", "RELU6", "LOGISTIC", "TANH", "QUANTIZE")
        if name == "RELU6":
            self.now = self.b.op("QUANTIZE", [self.now], self.activation(self.shape(), float(np.float32(0.07)), -20))
            self.step(name, [self.now], self.same_quant(self.shape()))
        elif name in ("LOGISTIC", "TANH"):
            scale, zero_point = (1 / 256, -128) if name == "LOGISTIC" else (1 / 128, 0)
            self.step(name, [self.now], self.activation(self.shape(), scale, zero_point))
        else:
            scale = float(np.float32(self.quant()[0] * 2.0 ** self.rng.uniform(-3, 3)))
            self.step(name, [self.now], self.activation(self.shape(), scale))

    def softmax(self) -> None:
        if self.shape()[-1] > 500:  # the interpreter aborts on a flat row of 512 classes or more
            self.unary()
            return
        beta = self.pick(1.0, 0.5, 3.0)
        self.step(
            "SOFTMAX", [self.now], self.activation(self.shape(), 1 / 256, -128), options("SoftmaxOptions", beta=beta)
        )

    def concat(self) -> None:
        shape = self.shape()
        axis = self.number(0, len(shape) - 1)
        others, total = [], shape[axis]
        for _ in range(self.number(1, 3)):
            size = self.number(1, 4)
            part = (*shape[:axis], size, *shape[axis + 1 :])
            data = self.rng.integers(-128, 128, part).astype(np.int8)
            scale, zero_point = self.quant()
            others.append(self.b.tensor(part, scale=scale, zero_point=zero_point, data=data))
            total += size
        output = self.same_quant((*shape[:axis], total, *shape[axis + 1 :]))
        named = axis - len(shape) if self.pick(True, False) else axis
        others.insert(self.number(0, len(others)), self.now)
        self.step("CONCATENATION", others, output, options("ConcatenationOptions", axis=named))

    def transpose(self) -> None:
        shape = self.shape()
        order = self.draw(st.permutations(range(len(shape))))
        output = self.same_quant(tuple(shape[axis] for axis in order))
        self.step("TRANSPOSE", [self.now, self.b.constant(order)], output, options("TransposeOptions"))

    def float_ends(self) -> None:
        scale, zero_point = self.quant()
        middle = self.b.op("DEQUANTIZE", [self.now], self.b.tensor(self.shape(), "float32"))
        self.step("QUANTIZE", [middle], self.activation(self.shape(), scale * 1.5, zero_point))


IMAGE_STEPS = ("conv", "conv", "depthwise", "depthwise", "pool", "padded_conv")
ANY_STEPS = (
    "mean",
    "binary",
    "pad",
    "reshape",
    "unary",
    "softmax",
    "concat",
    "transpose",
    "fully_connected",
    "float_ends",
)


@st.composite
def graphs(draw: Callable[[Any], Any]) -> bytes:
    """The bytes of one random model."""
    maker = Maker(draw)
    for _ in range(draw(st.integers(1, 4))):
        shape = maker.shape()
        if not shape or math.prod(shape) > 4000 or len(shape) > 4:
            break
        steps = IMAGE_STEPS * 2 + ANY_STEPS if len(shape) == 4 else ANY_STEPS
        getattr(maker, draw(st.sampled_from(steps)))()
    return maker.b.build(maker.inputs, [maker.now])
