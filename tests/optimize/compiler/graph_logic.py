"""Steps of random graphs with comparisons and choices, sums of many, quotients and logarithms."""

from __future__ import annotations

import math

import numpy as np
from graph_maker import Maker
from graph_steps import operand, unary
from tflite_builder import options

COMPARISONS = ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")


def compared(m: Maker) -> tuple[int, int]:
    """(bools of the current tensor's shape, what it was compared with); the interpreter takes scales under 1 only."""
    m.now = m.as_quant(m.now, min(m.quant()[0], 0.9), m.quant()[1])
    other = m.constant((1,), *m.quant()) if m.chance(40) else m.as_quant(operand(m), *m.quant())
    flag = m.b.tensor(np.broadcast_shapes(m.shape(), m.shape(other)), "bool")
    return m.b.op(m.pick(*COMPARISONS), [m.now, other], flag), other


def choice(m: Maker) -> None:
    """One of two tensors by a comparison of both, perhaps by more than one."""
    flag, other = compared(m)
    shape = m.b.tensors[flag].shape
    if m.chance(30):
        flag = m.b.op("LOGICAL_NOT", [flag], m.b.tensor(shape, "bool"))
    if m.chance(30):
        second, _ = compared(m)
        both = m.b.tensor(np.broadcast_shapes(shape, m.b.tensors[second].shape), "bool")
        flag = m.b.op(m.pick("LOGICAL_AND", "LOGICAL_OR", "EQUAL"), [flag, second], both)
    quant = m.quant()
    operands = [flag, *m.pick([m.now, other], [other, m.now])]
    out = np.broadcast_shapes(*(tuple(m.b.tensors[tensor].shape) for tensor in operands))
    if len(out) > 4:
        return unary(m)
    return m.step("SELECT_V2", operands, m.activation(tuple(int(n) for n in out), *quant))


def counted(m: Maker) -> None:
    """A comparison as numbers: CAST to float32, then QUANTIZE; or to int8 with a scale made up."""
    flag, _ = compared(m)
    shape = tuple(m.b.tensors[flag].shape)
    if m.chance(50):
        return m.step("CAST", [flag], m.activation(shape, 1.0, 0))
    real = m.b.op("CAST", [flag], m.b.tensor(shape, "float32"))
    return m.step("QUANTIZE", [real], m.activation(shape, m.near(1 / 100, -1, 1)))


def add_n(m: Maker) -> None:
    shape, quant, count = m.shape(), m.quant(), m.number(2, 6)
    inputs = [m.now]
    for _ in range(count - 1):
        kind = m.pick("self", "earlier", "constant")
        other = m.earlier(lambda candidate: candidate == shape) if kind == "earlier" else None
        if other is None:
            other = m.now if kind == "self" else m.constant(shape, *quant)
        inputs.append(m.as_quant(other, *m.quant(m.now)))
    m.step("ADD_N", inputs, m.activation(shape, m.near(m.quant()[0], 0, 2)), options("AddNOptions"))


def cumsum(m: Maker) -> None:
    shape = m.shape()
    axis = m.number(0, len(shape) - 1)
    table = options("CumsumOptions", exclusive=m.pick(False, True), reverse=m.pick(False, True))
    output = m.activation(shape, m.near(m.quant()[0] * math.sqrt(shape[axis]), 0, 2))
    m.step("CUMSUM", [m.now, m.b.constant([axis], ())], output, table)


def log_softmax(m: Maker) -> None:
    if m.shape()[-1] > 4000 or m.quant()[0] < 2.0**-24 or math.frexp(m.quant()[0])[0] == 0.5:
        return unary(m)
    return m.step("LOG_SOFTMAX", [m.now], m.activation(m.shape(), 1 / 16, 127), options("LogSoftmaxOptions"))


def quotient(m: Maker) -> None:
    """By constants that are not 0, and with a scale at which the interpreter's result is defined."""
    shape, zero_point = m.shape(), m.pick(0, -128, 127, 20)
    data = m.values(shape[-1:])
    data = np.where(data == zero_point, np.int8(zero_point + (1 if zero_point < 0 else -1)), data)
    scale = m.near(0.1, -2, 2)
    other = m.b.tensor(shape[-1:], scale=scale, zero_point=zero_point, data=data)
    wanted = m.quant()[0] / scale / m.pick(130, 200, 1000)
    if not 2.0**-24 < wanted < 4.0:
        return unary(m)
    return m.step("DIV", [m.now, other], m.activation(shape, float(np.float32(wanted))), m.activated("DivOptions"))


def float_island(m: Maker) -> None:
    """What a converter leaves in float32 where it has no quantized form."""
    shape, (scale, _) = m.shape(), m.quant()
    now = m.b.op("DEQUANTIZE", [m.now], m.b.tensor(shape, "float32"))
    name, out = m.pick("CUMSUM", "ADD_N", "DIV"), m.b.tensor(shape, "float32")
    if name == "CUMSUM":
        table = options("CumsumOptions", exclusive=m.pick(False, True), reverse=m.pick(False, True))
        now = m.b.op(name, [now, m.b.constant([m.number(0, len(shape) - 1)], ())], out, table)
    elif name == "ADD_N":
        other = m.b.tensor(shape, "float32", data=(m.rng.normal(0, 50, shape) * scale).astype(np.float32))
        now = m.b.op(name, [other, now, now], out, options("AddNOptions"))
    else:
        other = m.b.tensor(shape[-1:], "float32", data=m.rng.uniform(0.5, 2.0, shape[-1:]).astype(np.float32))
        now = m.b.op(name, [now, other], out, m.activated("DivOptions"))
    m.step("QUANTIZE", [now], m.activation(shape, m.near(scale, -1, 3)))


ANY_LOGIC = (
    *(("SELECT_V2", choice), ("CAST", counted), ("ADD_N", add_n), ("CUMSUM", cumsum)),
    *(("LOG_SOFTMAX", log_softmax), ("DIV", quotient), ("CUMSUM", float_island)),
)
