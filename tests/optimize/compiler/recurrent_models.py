"""Small models with state: SVDF, LSTM and what may go with them."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as s
from tflite_builder import Builder, options

LEFT_OUT = -1


def float32(value: float) -> float:
    return float(np.float32(value))


class Recurrent:
    """Draws weights from a seed; scales are drawn unless given."""

    def __init__(self, seed: int) -> None:
        self.b = Builder()
        self.rng = np.random.default_rng(seed)

    def scale(self, low: float, high: float) -> float:
        return float32(2.0 ** self.rng.uniform(low, high))

    def int8(self, shape: tuple[int, ...], scale: float, low: int = -127) -> int:
        return self.b.tensor(shape, scale=scale, data=self.rng.integers(low, 128, shape).astype(np.int8))

    def bias(self, count: int, reach: int, scale: float) -> int:
        data = self.rng.integers(-reach, reach + 1, count).astype(np.int32)
        return self.b.tensor((count,), "int32", scale=scale, data=data)

    def variable(self, shape: tuple[int, ...], dtype: str, scale: float, zero_point: int = 0) -> int:
        tensor = self.b.tensor(shape, dtype, scale=scale, zero_point=zero_point)
        self.b.tensors[tensor].isVariable = True
        return tensor

    def svdf(self, x: int, *, units: int, rank: int, memory: int, wide: bool = True, zero_point: int = 0) -> int:
        """An SVDF on ``x`` [batch][feature]."""
        source, rng = self.b.tensors[x], self.rng
        batch, features = source.shape
        in_scale = float32(source.quantization.scale[0])
        filters, width = units * rank, 32767 if wide else 127
        feature_scale, time_scale = self.scale(-9, -5), float32(1.0 / width)
        state_scale = float32(in_scale * feature_scale * 74 * 80 * np.sqrt(features) / (width / 2))
        out_scale = float32(state_scale * time_scale * (width / 2) ** 2 * np.sqrt(rank * memory) / 60)
        dtype = "int16" if wide else "int8"
        time = rng.integers(-width, width + 1, (filters, memory)).astype(dtype)
        operands = [
            x,
            self.int8((filters, features), feature_scale),
            self.b.tensor((filters, memory), dtype, scale=time_scale, data=time),
            self.bias(units, int(60 * out_scale / (state_scale * time_scale)), state_scale * time_scale),
            self.variable((batch, filters * memory), dtype, state_scale, 0 if wide else zero_point),
        ]
        out = self.b.tensor((batch, units), scale=out_scale, zero_point=int(rng.integers(-128, 128)))
        # The interpreters disagree: LiteRT's takes this activation only, and both of them leave it out.
        table = options("SVDFOptions", rank=rank, fusedActivationFunction=s.ActivationFunctionType.RELU)
        return self.b.op("SVDF", operands, out, table)

    def lstm(self, x: int, *, units: int, cell_power: int = -11, clip: float = 0.0, time_major: bool = False) -> int:
        """An LSTM on ``x`` [batch][time][feature]."""
        source = self.b.tensors[x]
        batch = source.shape[1] if time_major else source.shape[0]
        features = source.shape[2]
        in_scale = float32(source.quantization.scale[0])
        hidden_scale, hidden_zero = float32(1.02 / 128), int(self.rng.integers(-20, 21))
        weights = [self.int8((units, features), self.weight_scale(in_scale, features)) for _ in range(4)]
        recurrent = [self.int8((units, units), self.weight_scale(hidden_scale, units)) for _ in range(4)]
        biases = [self.bias(units, 4000, in_scale * self.b.tensors[w].quantization.scale[0]) for w in weights]
        hidden = self.variable((batch, units), "int8", hidden_scale, hidden_zero)
        cell = self.variable((batch, units), "int16", 2.0**cell_power)
        operands = [x, *weights, *recurrent, *[LEFT_OUT] * 3, *biases, *[LEFT_OUT] * 2, hidden, cell, *[LEFT_OUT] * 4]
        out = self.b.tensor((*source.shape[:2], units), scale=hidden_scale, zero_point=hidden_zero)
        table = options("UnidirectionalSequenceLSTMOptions", fusedActivationFunction=s.ActivationFunctionType.TANH)
        table.cellClip, table.timeMajor = clip, time_major
        return self.b.op("UNIDIRECTIONAL_SEQUENCE_LSTM", operands, out, table)

    def weight_scale(self, scale: float, count: int) -> float:
        """So that gates see arguments of a few units."""
        return float32(self.scale(-1, 2) / (scale * 74 * 74 * np.sqrt(count)))

    def input(self, shape: tuple[int, ...], **quant: Any) -> int:
        zero_point = int(self.rng.choice([-128, 127, 0, int(self.rng.integers(-128, 128))]))
        return self.b.tensor(shape, **({"scale": self.scale(-7, -3), "zero_point": zero_point} | quant))


def svdf_model(seed: int, batch: int = 1, features: int = 8, **layer: Any) -> bytes:
    model = Recurrent(seed)
    x = model.input((batch, features))
    return model.b.build([x], [model.svdf(x, **layer)])


def lstm_model(seed: int, shape: tuple[int, ...] = (1, 3, 5), **layer: Any) -> bytes:
    model = Recurrent(seed)
    x = model.input(shape)
    return model.b.build([x], [model.lstm(x, **layer)])
