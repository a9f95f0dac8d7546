"""Steps of random graphs with a layer that remembers (SVDF, LSTM), and products of two tensors."""

from __future__ import annotations

import math

from graph_maker import MAX_MACS, Maker
from graph_moves import slice_
from recurrent_models import Recurrent
from tflite_builder import options

MAX_FEATURES = 128


def svdf(m: Maker) -> None:
    batch = m.shape()[0] if len(m.shape()) > 1 else 1
    features = m.elements() // batch
    if features > MAX_FEATURES or len(m.b.operators) > 30:
        return slice_(m)
    flat(m, (batch, features))
    units, wide = m.number(1, 7), m.chance(60)
    rank, memory = m.number(1, 3), m.number(1, 12)
    m.now = layer(m).svdf(m.now, units=units, rank=rank, memory=memory, wide=wide, zero_point=m.zero_point())
    return m.history.append(m.now)


def lstm(m: Maker) -> None:
    batch, features = m.shape()[0] if len(m.shape()) > 1 else 1, m.shape()[-1]
    steps = m.elements() // batch // features
    if features > MAX_FEATURES or steps > 20 or len(m.b.operators) > 30:
        return slice_(m)
    flat(m, (batch, steps, features))
    clip, cell_power = m.pick(0.0, 0.0, 1.5), m.pick(-11, -12, -15, -9)
    made = layer(m).lstm(m.now, units=m.number(1, 8), cell_power=cell_power, clip=clip, time_major=m.chance(30))
    m.now = made
    return m.history.append(made)


def layer(m: Maker) -> Recurrent:
    """Draws layers into the graph of ``m``."""
    drawer = Recurrent(0)
    drawer.b, drawer.rng = m.b, m.rng
    return drawer


def flat(m: Maker, shape: tuple[int, ...]) -> None:
    """The current tensor in ``shape``, with a scale that a recurrent layer's state can hold."""
    m.now = m.as_quant(m.now, m.near(2.0**-5, -2, 2), m.zero_point())
    if m.shape() != shape:
        m.step("RESHAPE", [m.now, m.b.constant(shape)], m.same_quant(shape), options("ReshapeOptions"))


def batch_matmul(m: Maker) -> None:
    """The current tensor times a constant, times another input, or times itself turned over."""
    shape = m.shape()
    if len(shape) < 2:
        return slice_(m)
    *lead, rows, depth = shape
    columns = m.pick(rows, m.number(1, 9))
    if math.prod(shape) * columns > MAX_MACS:
        return slice_(m)
    kind, turned = m.pick("self", "constant", "constant", "input"), m.pick(True, False)
    if kind == "self":
        other, columns, turned = m.now, rows, True
    else:
        front = m.pick([], [1] * len(lead), lead)
        size = (*front, columns, depth) if turned else (*front, depth, columns)
        scale, zero_point = m.near(0.02, -4, 4), m.zero_point()
        other = m.constant(size, scale, zero_point) if kind == "constant" else m.activation(size, scale, zero_point)
        m.inputs += [other] if kind == "input" else []
    spread = m.quant()[0] * m.quant(other)[0] * 74 * 74 * math.sqrt(depth) / 60
    output = m.activation((*lead, rows, columns), m.near(max(spread, 2.0**-24), -1, 3))
    table = options("BatchMatMulOptions", adjX=False, adjY=turned)
    return m.step("BATCH_MATMUL", [m.now, other], output, table)


ANY_RECURRENT = (svdf, lstm, batch_matmul)
