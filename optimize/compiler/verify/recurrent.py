"""Rules of SVDF and LSTM, and of the product of two matrices."""

from __future__ import annotations

import math

from optimize.compiler.batch_matmul import BatchMatMul, product_shape
from optimize.compiler.kernels_recurrent import BatchMatMulCall, LstmCall, SvdfCall
from optimize.compiler.recurrent import Lstm, Svdf
from optimize.compiler.verify.common import Operands, Rule, sizes


def _svdf(payload: Svdf, inputs: Operands, outputs: Operands) -> str:
    if any(len(tensor.shape) != 2 for tensor in (*inputs[:3], outputs[0])):
        return "input, weights and output must have rank 2"
    (batches, features), (filters, memory) = inputs[0].shape, inputs[2].shape
    if inputs[1].shape != (filters, features) or filters % payload.rank:
        return f"weights {list(inputs[1].shape)}, {list(inputs[2].shape)} for {features} features, rank {payload.rank}"
    units = filters // payload.rank
    if inputs[3].elements != batches * filters * memory or inputs[2].dtype != inputs[3].dtype:
        return f"a state of {inputs[3].elements} {inputs[3].dtype} for {batches} batches of {filters}x{memory}"
    if len(inputs) > 4 and inputs[4].elements != units:
        return f"a bias of {inputs[4].elements} values for {units} units"
    return "" if outputs[0].shape == (batches, units) else f"output {list(outputs[0].shape)}"


def svdf_call_problem(payload: SvdfCall, inputs: Operands, outputs: Operands) -> str:
    """What is wrong with the sizes of a lowered SVDF; empty if nothing."""
    width = 2 if payload.state_type == "int16" else 1
    rows = payload.batches * payload.filters
    return sizes(
        (inputs[0].bytes, payload.batches * payload.in_features),
        (inputs[1].bytes, width * rows * payload.memory),
        (outputs[0].bytes, rows // payload.rank),
        (outputs[1].bytes, width * rows * payload.memory),
        (len(payload.feature_weights), payload.filters * payload.in_features),
        (len(payload.time_weights), width * payload.filters * payload.memory),
    )


def _lstm(payload: Lstm, inputs: Operands, outputs: Operands) -> str:
    if len(inputs[0].shape) != 3 or len(outputs[0].shape) != 3 or inputs[0].shape[:2] != outputs[0].shape[:2]:
        return f"input {list(inputs[0].shape)}, output {list(outputs[0].shape)}"
    features, units = inputs[0].shape[2], outputs[0].shape[2]
    batches = inputs[0].shape[1] if payload.time_major else inputs[0].shape[0]
    for place in range(1, 9):
        if inputs[place].shape != (units, features if place < 5 else units):
            return f"weights {list(inputs[place].shape)} for {features} features and {units} units"
    if any(inputs[place].elements != units for place in range(9, 13)):
        return f"a bias for another number of units than {units}"
    if any(inputs[place].elements != batches * units for place in (13, 14)):
        return f"its states do not hold {batches} batches of {units} units"
    return ""


def lstm_call_problem(payload: LstmCall, inputs: Operands, outputs: Operands) -> str:
    """What is wrong with the sizes of a lowered LSTM; empty if nothing."""
    rows, units, states = payload.batches * payload.steps, payload.units, payload.batches * payload.units
    weights = [
        pair
        for gate in payload.gates
        for pair in (
            (len(gate.input_weights), units * payload.in_features),
            (len(gate.recurrent_weights), units * units),
            (len(gate.bias), units),
        )
    ]
    return sizes(
        (inputs[0].bytes, rows * payload.in_features),
        (inputs[1].bytes, states),
        (inputs[2].bytes, 2 * states),
        (outputs[0].bytes, rows * units),
        (outputs[1].bytes, states),
        (outputs[2].bytes, 2 * states),
        *weights,
    )


def _batch_matmul(payload: BatchMatMul, inputs: Operands, outputs: Operands) -> str:
    expected = product_shape(payload, inputs[0].shape, inputs[1].shape)
    if expected is None:
        return f"shapes {list(inputs[0].shape)} and {list(inputs[1].shape)} do not multiply"
    return "" if outputs[0].shape == expected else f"output {list(outputs[0].shape)}, expected {list(expected)}"


def batch_matmul_call_problem(payload: BatchMatMulCall, inputs: Operands, outputs: Operands) -> str:
    """What is wrong with the sizes of a lowered product of two matrices; empty if nothing."""

    def reach(batch: tuple[int, ...], outer: int, strides: tuple[int, int]) -> int:
        extents = (*payload.batch, outer, payload.depth)
        return 1 + sum((size - 1) * step for size, step in zip(extents, (*batch, *strides), strict=True))

    return sizes(
        (inputs[0].bytes, reach(payload.left_batch, payload.rows, payload.left_strides)),
        (inputs[1].bytes, reach(payload.right_batch, payload.columns, payload.right_strides)),
        (outputs[0].bytes, math.prod(payload.batch) * payload.rows * payload.columns),
    )


RULES: dict[type, Rule] = {
    Svdf: _svdf,
    SvdfCall: svdf_call_problem,
    Lstm: _lstm,
    LstmCall: lstm_call_problem,
    BatchMatMul: _batch_matmul,
    BatchMatMulCall: batch_matmul_call_problem,
}
