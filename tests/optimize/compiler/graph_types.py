"""Steps of random graphs in which values have other types than int8 for a while."""

from __future__ import annotations

from graph_maker import Maker
from graph_steps import unary
from tflite_builder import options


def wider(m: Maker) -> None:
    """QUANTIZE to int16 or int32, perhaps between the two, and back."""
    shape, scale = m.shape(), m.quant()[0]
    dtypes = m.pick(("int16",), ("int32",), ("int16", "int16"), ("int16", "int32"), ("int32", "int16"))
    for dtype in dtypes:
        scale = m.near(scale / 64, -4, 4)
        now = m.b.tensor(shape, dtype, scale=scale, zero_point=m.number(-20, 20))
        m.now = m.b.op("QUANTIZE", [m.now], now)
    m.step("QUANTIZE", [m.now], m.activation(shape, m.near(scale * 64, -2, 2)))


def wide_input(m: Maker) -> None:
    """The sum of the current tensor and an int16 graph input."""
    shape, scale = m.shape(), m.near(m.quant()[0], -2, 2)
    tensor = m.b.tensor(shape, "int16", scale=m.near(scale / 256, -2, 2), zero_point=m.pick(0, 0, 1000))
    m.inputs.append(tensor)
    other = m.b.op("QUANTIZE", [tensor], m.activation(shape, scale))
    m.step("ADD", [m.now, other], m.activation(shape, m.near(scale, 0, 2)), m.activated("AddOptions"))


def wide_softmax(m: Maker) -> None:
    """SOFTMAX to int16, as models with a sharp threshold have it."""
    shape = m.shape()
    if shape[-1] > 4000 or m.quant()[0] < 2.0**-24:
        return unary(m)
    wide = m.b.tensor(shape, "int16", scale=1 / 65536, zero_point=-32768)
    m.b.op("SOFTMAX", [m.now], wide, options("SoftmaxOptions", beta=m.pick(1.0, 0.5, 3.0)))
    return m.step("QUANTIZE", [wide], m.activation(shape, m.near(1 / 256, -1, 1), m.pick(-128, 3)))


ANY_TYPES = (("QUANTIZE", wider), ("QUANTIZE", wide_input), ("SOFTMAX", wide_softmax))
