"""The steps a random graph is made of: each appends operators that the interpreter accepts to a ``Maker``'s graph.

A new operator gets a function here (or in a file of its own) and a line in ``IMAGE_STEPS`` or ``ANY_STEPS``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from graph_maker import MAX_MACS, Maker
from tflite_builder import options


def conv(m: Maker) -> None:
    batch, _, _, channels = m.shape()
    groups = m.pick(1, 1, 1, 1, *(g for g in (2, 3, 4) if channels % g == 0))
    kernel, dilation = m.kernel(), m.dilation()
    table, out = m.window(kernel, dilation)
    depth = channels // groups
    work = batch * math.prod(out) * math.prod(kernel) * depth
    filters = groups * max(1, min(m.channels(), MAX_MACS // work) // groups)
    operands, scale = m.weights((filters, *kernel, depth), 0)
    output = m.activation((batch, *out, filters), scale)
    fields = table | {"dilationHFactor": dilation[0], "dilationWFactor": dilation[1]}
    m.step("CONV_2D", [m.now, *operands], output, m.activated("Conv2DOptions", **fields))


def depthwise(m: Maker) -> None:
    batch, _, _, channels = m.shape()
    multiplier = m.pick(1, 1, 1, 1, 2, 3, 4)
    kernel = (3, 3) if m.chance(40) else m.kernel()
    dilation = m.dilation()
    table, out = m.window(kernel, dilation)
    operands, scale = m.weights((1, *kernel, channels * multiplier), 3)
    output = m.activation((batch, *out, channels * multiplier), scale)
    fields = table | {"dilationHFactor": dilation[0], "dilationWFactor": dilation[1], "depthMultiplier": multiplier}
    m.step("DEPTHWISE_CONV_2D", [m.now, *operands], output, m.activated("DepthwiseConv2DOptions", **fields))


def separable(m: Maker) -> None:
    """Depthwise then 1x1, the block of MobileNet, sometimes with a residual around it."""
    start = m.now
    depthwise(m)
    batch, height, width, channels = m.shape()
    filters = m.shape(start)[3] if m.chance(50) else m.channels()
    filters = max(1, min(filters, MAX_MACS // (m.elements() or 1)))
    operands, scale = m.weights((filters, 1, 1, channels), 0)
    output = m.activation((batch, height, width, filters), scale)
    fields = {"padding": 0, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    m.step("CONV_2D", [m.now, *operands], output, m.activated("Conv2DOptions", **fields))
    if m.shape() == m.shape(start):
        add(m, start)


def add(m: Maker, other: int) -> None:
    scale = m.near(max(m.quant()[0], m.quant(other)[0]), -1, 2)
    operands = m.pick([m.now, other], [other, m.now])
    m.step("ADD", operands, m.activation(m.shape(), scale), m.activated("AddOptions"))


def residual(m: Maker) -> None:
    """ADD of the current tensor and an earlier one of the same shape, which so lives on over what lies between."""
    shape = m.shape()
    other = m.earlier(lambda candidate: candidate == shape)
    if other is None:
        return binary(m)
    return add(m, other)


def branch(m: Maker) -> None:
    """Two 1x1 ways from the current tensor, joined along the channels."""
    start, ways = m.now, []
    quant = m.scale(), m.zero_point()
    for _ in range(2):
        m.now = start
        if len(m.shape()) == 4 and m.chance(60):
            m.pick(conv1x1, depthwise_same)(m)
        else:
            unary(m)
        ways.append(m.as_quant(m.now, *quant))
    shapes = [m.shape(way) for way in ways]
    output = m.activation((*shapes[0][:-1], sum(shape[-1] for shape in shapes)), *quant)
    m.step("CONCATENATION", ways, output, options("ConcatenationOptions", axis=-1))


def conv1x1(m: Maker) -> None:
    batch, height, width, channels = m.shape()
    filters = max(1, min(m.channels(), MAX_MACS // m.elements()))
    operands, scale = m.weights((filters, 1, 1, channels), 0)
    fields = {"padding": 1, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    output = m.activation((batch, height, width, filters), scale)
    m.step("CONV_2D", [m.now, *operands], output, m.activated("Conv2DOptions", **fields))


def depthwise_same(m: Maker) -> None:
    size = m.pick(1, 3, 3, 5, 7)
    operands, scale = m.weights((1, size, size, m.shape()[3]), 3)
    fields = {"padding": 0, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    table = m.activated("DepthwiseConv2DOptions", depthMultiplier=1, **fields)
    m.step("DEPTHWISE_CONV_2D", [m.now, *operands], m.activation(m.shape(), scale), table)


def fully_connected(m: Maker) -> None:
    shape = m.shape()
    depth = shape[-1] if m.pick(True, False) else math.prod(shape[1:])
    batches = math.prod(shape) // depth
    units = max(1, min(m.channels(), MAX_MACS // math.prod(shape)))
    operands, scale = m.weights((units, depth), 0)
    output = m.activation((batches, units), scale)
    bias = operands[1] if len(operands) > 1 else -1
    m.step("FULLY_CONNECTED", [m.now, operands[0], bias], output, m.activated("FullyConnectedOptions"))


def pool(m: Maker) -> None:
    batch, height, width, channels = m.shape()
    kernel = m.pick((height, width), (m.number(1, min(5, height + 1)), m.number(1, min(5, width + 1))))
    table, out = m.window(kernel, (1, 1))
    fields = table | {"filterHeight": kernel[0], "filterWidth": kernel[1]}
    output = m.same_quant((batch, *out, channels))
    m.step(m.pick("AVERAGE_POOL_2D", "MAX_POOL_2D"), [m.now], output, m.activated("Pool2DOptions", **fields))


def mean(m: Maker) -> None:
    shape = m.shape()
    rank = len(shape)
    axes = m.pick((1, 2), m.choices.order(rank)[: m.number(1, rank)]) if rank == 4 else [m.number(0, rank - 1)]
    keep = m.pick(True, False)
    kept = [1 if a in axes else n for a, n in enumerate(shape) if keep or a not in axes]
    named = [axis - rank if m.pick(True, False) else axis for axis in sorted(axes)]
    output = m.activation(tuple(kept), m.near(m.quant()[0], -2, 1))
    m.step("MEAN", [m.now, m.b.constant(named)], output, options("ReducerOptions", keepDims=keep))


def binary(m: Maker) -> None:
    name, other = m.pick("ADD", "SUB", "MUL"), operand(m)
    left, right = m.quant()[0], m.quant(other)[0]
    spread = left * right * 100 if name == "MUL" else max(left, right)
    output = m.activation(tuple(np.broadcast_shapes(m.shape(), m.shape(other))), m.near(spread, -2, 3))
    operands = m.pick([m.now, other], [other, m.now])
    m.step(name, operands, output, m.activated(f"{name.capitalize()}Options"))


def operand(m: Maker) -> int:
    """A second operand: the same tensor, an earlier one, a constant that broadcasts, or another graph input."""
    shape, kind = m.shape(), m.pick("self", "earlier", "constant", "input")
    if kind == "self":
        return m.now
    if kind == "earlier":
        found = m.earlier(
            lambda other: len(other) == len(shape) and all(a in (1, b) for a, b in zip(other, shape, strict=True))
        )
        if found is not None:
            return found
    mixed = tuple(m.pick(n, n, 1) for n in shape)[m.pick(0, 0, min(1, len(shape) - 1)) :]
    scale = m.near(m.quant()[0], -3, 3)
    if kind == "constant":
        return m.constant(mixed, scale, m.zero_point())
    tensor = m.activation(mixed, scale)
    m.inputs.append(tensor)
    return tensor


def pad(m: Maker) -> None:
    shape, image_only = m.shape(), m.pick(True, True, False)
    amounts = [
        (m.number(0, 2), m.number(0, 2)) if not image_only or axis in (1, 2) else (0, 0) for axis in range(len(shape))
    ]
    output = m.same_quant(tuple(n + a + b for n, (a, b) in zip(shape, amounts, strict=True)))
    flat = [n for pair in amounts for n in pair]
    m.step("PAD", [m.now, m.b.constant(flat, (len(shape), 2))], output, options("PadOptions"))


def padded_conv(m: Maker) -> None:
    pad(m)
    m.pick(conv, depthwise, pool)(m)


def reshape(m: Maker) -> None:
    shape, name = m.shape(), m.pick("RESHAPE", "EXPAND_DIMS", "SQUEEZE")
    if name == "RESHAPE":
        total = math.prod(shape)
        new = m.pick((shape[0], total // shape[0]), (total,), (1, total // shape[-1], shape[-1]))
        m.step(name, [m.now, m.b.constant(new)], m.same_quant(new), options("ReshapeOptions"))
    elif name == "EXPAND_DIMS":
        m.step(name, [m.now, m.b.constant([1])], m.same_quant((shape[0], 1, *shape[1:])))
    else:
        m.step(name, [m.now], m.same_quant(tuple(n for n in shape if n != 1)), options("SqueezeOptions"))


def image(m: Maker) -> None:
    """Back to NHWC from fewer axes, so that long graphs go on with convolutions."""
    shape, total = m.shape(), m.elements()
    height = next(size for size in (8, 6, 5, 4, 3, 2, 1) if total % size == 0)
    width = next(size for size in (9, 7, 4, 3, 2, 1) if total // height % size == 0)
    new = (1, height, width, total // height // width)
    if shape != new:
        m.step("RESHAPE", [m.now, m.b.constant(new)], m.same_quant(new), options("ReshapeOptions"))


def unary(m: Maker) -> None:
    name = m.pick("RELU", "RELU6", "LOGISTIC", "TANH", "QUANTIZE")
    if name == "RELU6":
        m.now = m.as_quant(m.now, float(np.float32(0.07)), -20)
        m.step(name, [m.now], m.same_quant(m.shape()))
    elif name in ("LOGISTIC", "TANH"):
        quant = (1 / 256, -128) if name == "LOGISTIC" else (1 / 128, 0)
        m.step(name, [m.now], m.activation(m.shape(), *quant))
    else:
        m.step(name, [m.now], m.activation(m.shape(), m.near(m.quant()[0], -3, 3)))


def softmax(m: Maker) -> None:
    # The interpreter aborts on a flat row of 512 classes or more, and takes no scale that is next to nothing.
    if m.shape()[-1] > 500 or m.quant()[0] < 2.0**-24:
        return unary(m)
    table = options("SoftmaxOptions", beta=m.pick(1.0, 0.5, 3.0))
    return m.step("SOFTMAX", [m.now], m.activation(m.shape(), 1 / 256, -128), table)


def concat(m: Maker) -> None:
    """The current tensor among constants and earlier tensors."""
    shape, quant = m.shape(), m.quant()
    axis = m.number(0, len(shape) - 1)

    def fits(other: tuple[int, ...]) -> bool:
        return len(other) == len(shape) and all(
            a == b or i == axis for i, (a, b) in enumerate(zip(other, shape, strict=True))
        )

    parts = []
    for _ in range(m.number(1, 3)):
        earlier = m.earlier(fits) if m.chance(50) else None
        if earlier is None:
            parts.append(m.constant((*shape[:axis], m.number(1, 4), *shape[axis + 1 :]), *quant))
        else:
            parts.append(m.as_quant(earlier, *quant))
    parts.insert(m.number(0, len(parts)), m.now)
    total = sum(m.shape(part)[axis] for part in parts)
    output = m.same_quant((*shape[:axis], total, *shape[axis + 1 :]))
    named = axis - len(shape) if m.pick(True, False) else axis
    m.step("CONCATENATION", parts, output, options("ConcatenationOptions", axis=named))


def transpose(m: Maker) -> None:
    shape = m.shape()
    order = m.choices.order(len(shape))
    output = m.same_quant(tuple(shape[axis] for axis in order))
    m.step("TRANSPOSE", [m.now, m.b.constant(order)], output, options("TransposeOptions"))


def float_ends(m: Maker) -> None:
    scale, zero_point = m.quant()
    middle = m.b.op("DEQUANTIZE", [m.now], m.b.tensor(m.shape(), "float32"))
    m.step("QUANTIZE", [middle], m.activation(m.shape(), scale * 1.5, zero_point))


Step = Callable[[Maker], None]
IMAGE_STEPS: tuple[Step, ...] = (
    *(conv, conv, conv, conv, conv1x1, conv1x1),
    *(depthwise, depthwise, depthwise, depthwise, separable, separable),
    *(pool, pool, padded_conv, padded_conv),
)
"""Steps for NHWC tensors; a step named twice is drawn twice as often."""
ANY_STEPS: tuple[Step, ...] = (
    *(residual, residual, branch, mean, binary, pad, reshape, unary, softmax, concat, transpose),
    *(fully_connected, fully_connected, fully_connected, float_ends),
)
"""Steps for any tensor of one to four axes."""
