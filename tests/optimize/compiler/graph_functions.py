"""Steps of random graphs that compute: functions of one value, comparisons, reductions, transposed convolution."""

from __future__ import annotations

import math

import numpy as np
from graph_maker import MAX_MACS, Maker
from graph_steps import operand
from tflite_builder import options


def function(m: Maker) -> None:
    name = m.pick("LEAKY_RELU", "HARD_SWISH", "ELU", "ABS", "RSQRT")
    if name == "RSQRT":  # the interpreter stops at a negative value
        m.step("RELU", [m.now], m.activation(m.shape(), m.near(m.quant()[0], -1, 1), -128))
        scale = m.near(1.0, -6, -2)
        return m.step(name, [m.now], m.activation(m.shape(), scale, m.zero_point()))
    if name in ("HARD_SWISH", "ELU"):
        # Their inputs are numbers around zero; the tables refuse scales that are no such thing.
        m.now = m.as_quant(m.now, m.near(0.05, -3, 3), m.zero_point())
    table = options("LeakyReluOptions", alpha=m.pick(0.1, 0.3, 0.0, 1.5, -0.2)) if name == "LEAKY_RELU" else None
    return m.step(name, [m.now], m.activation(m.shape(), m.near(m.quant()[0], -2, 2)), table)


def extreme(m: Maker) -> None:
    """MAXIMUM or MINIMUM of two tensors of the same scale."""
    other = m.as_quant(operand(m), *m.quant()) if m.chance(50) else m.constant(m.shape()[-1:], *m.quant())
    if len(m.shape(other)) > 4:
        return function(m)
    output = m.same_quant(tuple(np.broadcast_shapes(m.shape(), m.shape(other))))
    return m.step(m.pick("MAXIMUM", "MINIMUM"), [m.now, other], output, options("MaximumMinimumOptions"))


def prelu(m: Maker) -> None:
    shape = m.shape()
    slopes = m.constant((1,) * (len(shape) - 2) + shape[-1:], m.near(0.01, -2, 2), m.zero_point())
    m.step("PRELU", [m.now, slopes], m.activation(shape, m.near(m.quant()[0], -2, 2)))


def squared_difference(m: Maker) -> None:
    other = operand(m)
    spread = 60 * max(m.quant()[0], m.quant(other)[0]) ** 2
    output = m.activation(tuple(np.broadcast_shapes(m.shape(), m.shape(other))), m.near(spread, -2, 3))
    m.step("SQUARED_DIFFERENCE", [m.now, other], output, options("SquaredDifferenceOptions"))


def reduction(m: Maker) -> None:
    shape, name = m.shape(), m.pick("SUM", "REDUCE_MAX", "REDUCE_MIN")
    rank = len(shape)
    axes = m.choices.order(rank)[: m.number(1, rank)]
    keep = m.pick(True, False)
    kept = tuple(1 if a in axes else n for a, n in enumerate(shape) if keep or a not in axes)
    count = math.prod(shape[axis] for axis in axes)
    output = m.activation(kept, m.near(m.quant()[0] * math.sqrt(count), -2, 2)) if name == "SUM" else m.same_quant(kept)
    m.step(name, [m.now, m.b.constant(axes)], output, options("ReducerOptions", keepDims=keep))


def l2_normalization(m: Maker) -> None:
    m.step("L2_NORMALIZATION", [m.now], m.activation(m.shape(), 1 / 128, 0), options("L2NormOptions"))


def transpose_conv(m: Maker) -> None:
    batch, height, width, channels = m.shape()
    kernel, stride = (m.number(1, 4), m.number(1, 4)), (m.number(1, 3), m.number(1, 3))
    padding = m.pick(0, 1)
    if padding == 0:
        out = height * stride[0], width * stride[1]
    else:
        out = (height - 1) * stride[0] + kernel[0], (width - 1) * stride[1] + kernel[1]
    filters = max(
        1, min(m.channels(), MAX_MACS // (m.elements() * math.prod(kernel)), 4_000 // (batch * math.prod(out)))
    )
    operands, scale = m.weights((filters, *kernel, channels), 0)
    shape = (batch, *out, filters)
    table = m.activated("TransposeConvOptions", padding=padding, strideH=stride[0], strideW=stride[1])
    m.step(
        "TRANSPOSE_CONV", [m.b.constant(shape), operands[0], m.now, *operands[1:]], m.activation(shape, scale), table
    )


IMAGE_FUNCTIONS = (("TRANSPOSE_CONV", transpose_conv),)
ANY_FUNCTIONS = (
    *(("LEAKY_RELU", function), ("LEAKY_RELU", function), ("MAXIMUM", extreme), ("PRELU", prelu)),
    *(("SQUARED_DIFFERENCE", squared_difference), ("SUM", reduction), ("L2_NORMALIZATION", l2_normalization)),
)
