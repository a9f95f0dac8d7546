"""Lowering of SVDF and LSTM.

Their factors are those of the Prepare functions in svdf_common.cc and lstm_eval_common.cc, in double throughout: with
products of scales rounded to float32, one output in 1,000 of an LSTM is another.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from optimize.compiler.fixed_point import round_half_away
from optimize.compiler.ir import Op, Tensor
from optimize.compiler.kernels_recurrent import INT16, Factor, LstmCall, LstmGate, SvdfCall
from optimize.compiler.lowering.common import SCALE_HINT, check_sums, constant_of, factor_of, quant_of
from optimize.compiler.lowering.table import Lowering
from optimize.compiler.recurrent import Lstm, Svdf
from optimize.errors import InvalidModel, UnsupportedOperator

GATE_SCALE = 2.0**-12
"""Of the argument of a gate's activation, Q3.12."""

ACTIVATED_SCALE = 2.0**-15
"""Of its result, Q0.15."""


def _svdf(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> SvdfCall:
    assert isinstance(op.payload, Svdf)
    (in_scale, in_zero), (feature_scale, _), (time_scale, _) = (quant_of(op, tensor) for tensor in inputs[:3])
    (state_scale, state_zero), (out_scale, out_zero) = quant_of(op, inputs[3]), quant_of(op, output)
    feature_weights = constant_of(op, inputs[1], "weights")
    check_sums(op, np.frombuffer(feature_weights, np.int8).reshape(inputs[1].shape[0], -1), None, in_zero)
    return SvdfCall(
        state_type="int16" if inputs[3].dtype == "int16" else "int8",
        batches=inputs[0].shape[0],
        in_features=inputs[0].shape[1],
        filters=inputs[1].shape[0],
        rank=op.payload.rank,
        memory=inputs[2].shape[1],
        input_offset=-in_zero,
        feature_factor=factor_of(op, in_scale * feature_scale / state_scale),
        state_zero_point=state_zero,
        factor=factor_of(op, state_scale * time_scale / out_scale),
        output_offset=out_zero,
        feature_weights=feature_weights,
        time_weights=constant_of(op, inputs[2], "time weights"),
        bias=_integers(op, inputs[4]) if len(inputs) > 4 else None,
    )


def _lstm(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> LstmCall:
    assert isinstance(op.payload, Lstm)
    steps, batches = inputs[0].shape[:2] if op.payload.time_major else inputs[0].shape[1::-1]
    (hidden_scale, hidden_zero), (cell_scale, cell_zero) = quant_of(op, inputs[13]), quant_of(op, inputs[14])
    if cell_zero != 0:
        raise InvalidModel(f"{op.label}: its cell state has a zero point", hint=SCALE_HINT)
    gates = tuple(_gate(op, inputs, gate) for gate in range(4))
    return LstmCall(
        batches=batches,
        steps=steps,
        in_features=inputs[0].shape[2],
        units=output.shape[2],
        rows=(1, batches) if op.payload.time_major else (steps, 1),
        input_offset=-quant_of(op, inputs[0])[1],
        hidden_offset=-hidden_zero,
        gates=cast("tuple[LstmGate, LstmGate, LstmGate, LstmGate]", gates),
        forget=factor_of(op, ACTIVATED_SCALE * cell_scale / cell_scale),
        update=factor_of(op, ACTIVATED_SCALE * ACTIVATED_SCALE / cell_scale),
        output=factor_of(op, ACTIVATED_SCALE * ACTIVATED_SCALE / hidden_scale),
        cell_argument=_cell_argument(op, cell_scale),
        cell_bounds=_cell_bounds(op.payload.cell_clip, cell_scale),
    )


def _cell_bounds(clip: float, scale: float) -> tuple[int, int]:
    """A clip smaller than a step of the cell leaves it nothing but 0; only a clip of 0 means none."""
    bound = int(min(clip / scale, 32767.0))
    return (-bound, bound) if clip > 0 else INT16


def _gate(op: Op, inputs: tuple[Tensor, ...], gate: int) -> LstmGate:
    """Gate number ``gate`` of input, forget, cell, output; its operands stand at that place in their groups."""
    (in_scale, in_zero), (hidden_scale, hidden_zero) = quant_of(op, inputs[0]), quant_of(op, inputs[13])
    weights, recurrent, bias = inputs[1 + gate], inputs[5 + gate], _integers(op, inputs[9 + gate])
    for tensor in (weights, recurrent):
        if quant_of(op, tensor)[1] != 0:
            raise UnsupportedOperator(f"{op.label}: its weights have a zero point", hint="quantize them symmetrically")
    input_weights, recurrent_weights = constant_of(op, weights, "weights"), constant_of(op, recurrent, "weights")
    check_sums(op, np.frombuffer(input_weights, np.int8).reshape(weights.shape[0], -1), bias, in_zero)
    check_sums(op, np.frombuffer(recurrent_weights, np.int8).reshape(recurrent.shape[0], -1), None, hidden_zero)
    return LstmGate(
        input_factor=_gate_factor(op, in_scale, quant_of(op, weights)[0]),
        recurrent_factor=_gate_factor(op, hidden_scale, quant_of(op, recurrent)[0]),
        input_weights=input_weights,
        recurrent_weights=recurrent_weights,
        bias=bias,
    )


def _gate_factor(op: Op, scale: float, weight_scale: float) -> Factor:
    return factor_of(op, scale * weight_scale / GATE_SCALE)


def _cell_argument(op: Op, scale: float) -> Factor:
    """The cell state times 3 in Q3.12, by (multiplier, right shift)."""
    left = 12 + round_half_away(math.log2(scale))
    if not -24 <= left <= 14:
        raise InvalidModel(f"{op.label}: cell state scale {scale:g}", hint=SCALE_HINT)
    return (3 << left, 0) if left >= 0 else (3, -left)


def _integers(op: Op, tensor: Tensor) -> tuple[int, ...]:
    return tuple(int(value) for value in np.frombuffer(constant_of(op, tensor, "biases"), "<i4"))


LOWERINGS: dict[type, Lowering] = {Svdf: _svdf, Lstm: _lstm}
