"""Lowering of the operators on two inputs beyond sums and products: extremes, differences, quotients and more."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from optimize.compiler import ir
from optimize.compiler.geometry import merge_axes
from optimize.compiler.ir import Op, Tensor
from optimize.compiler.kernels_values import COMPARISONS, BroadcastCall, Comparison
from optimize.compiler.lowering.common import (
    SCALE_HINT,
    broadcast_strides,
    check_rank,
    clamp_of,
    factor_of,
    quant_of,
    small_factor,
)
from optimize.errors import InvalidModel, UnsupportedOperator

DIFFERENCE_BITS = 7
"""Bits below the stored step to which SQUARED_DIFFERENCE brings its inputs: 255 squared times 2**14 fits an int32."""


def broadcast_call(op: Op, payload: ir.Binary, inputs: tuple[Tensor, ...], output: Tensor) -> BroadcastCall:
    """The call of one of the kinds of ``BroadcastCall``."""
    extents, strides = merge_axes(output.shape, *(broadcast_strides(tensor, output) for tensor in inputs))
    check_rank(op, len(extents))
    pair = strides[0], strides[1]
    if payload.kind == "maximum" or payload.kind == "minimum":
        # Stored values are compared, as the interpreter does: it does not look at scales here.
        return BroadcastCall(payload.kind, extents, pair)
    if payload.kind == "logical_and" or payload.kind == "logical_or":
        return BroadcastCall(payload.kind, extents, pair)
    if payload.kind in COMPARISONS:
        return _comparison(op, payload.kind, inputs, BroadcastCall(cast("Comparison", payload.kind), extents, pair))
    quants = [quant_of(op, tensor) for tensor in (*inputs, output)]
    scales = quants[0][0], quants[1][0], quants[2][0]
    offsets, zero_point = (-quants[0][1], -quants[1][1]), quants[2][1]
    if payload.kind == "prelu":
        positive, rest = factor_of(op, scales[0] / scales[2]), factor_of(op, scales[0] * scales[1] / scales[2])
        return BroadcastCall("prelu", extents, pair, offsets, (positive[0], 0), (positive[1], 0), *rest, zero_point)
    if payload.kind == "div":
        factor = _quotient_factor(op, inputs[1], *scales)
        clamp = clamp_of(op, payload.activation, output)
        return BroadcastCall("div", extents, pair, offsets, (0, 0), (0, 0), *factor, zero_point, clamp)
    left, right, result = _difference_factors(op, *scales)
    multipliers, shifts = (left[0], right[0]), (left[1], right[1])
    return BroadcastCall("squared_difference", extents, pair, offsets, multipliers, shifts, *result, zero_point)


def _comparison(op: Op, kind: str, inputs: tuple[Tensor, ...], call: BroadcastCall) -> BroadcastCall:
    """Both inputs in 256ths of a unit, as the interpreter compares them; bools stand for themselves."""
    if len({tensor.dtype for tensor in inputs}) != 1:
        raise InvalidModel(f"{op.label}: it compares {inputs[0].dtype} with {inputs[1].dtype}", hint=SCALE_HINT)
    if inputs[0].dtype == "bool":
        return replace(call, input_multipliers=(1 << 30, 1 << 30))
    quants = [quant_of(op, tensor) for tensor in inputs]
    left, right = (small_factor(op, scale) for scale, _ in quants)
    return replace(
        call,
        input_offsets=(-quants[0][1], -quants[1][1]),
        input_multipliers=(left[0], right[0]),
        input_shifts=(left[1], right[1]),
    )


def _quotient_factor(op: Op, divisor: Tensor, left: float, right: float, out: float) -> Pair:
    """The factor of the quotient of stored values, in double.

    The interpreter shifts the quotient by more than 31 bits, which is undefined, where that is small in steps of the
    output: by 31 for the numerators 0 and -1, and by the digits of the divisor, less the factor's.
    """
    multiplier, shift = factor_of(op, left / (right * out))
    _, zero_point = quant_of(op, divisor)
    stored = np.frombuffer(divisor.data, np.int8) if divisor.data else np.array([-128, 127])
    digits = int(np.abs(stored.astype(np.int64) - zero_point).max()).bit_length() - 1
    if not digits <= shift <= 23:
        raise UnsupportedOperator(
            f"{op.label}: with an output scale of {out:g} the interpreter's result is undefined for small quotients",
            hint="multiply by the reciprocal, or quantize the model on data with smaller quotients",
        )
    return multiplier, shift


Pair = tuple[int, int]


def _difference_factors(op: Op, left: float, right: float, out: float) -> tuple[Pair, Pair, Pair]:
    """Factors of both inputs to a common scale, and of the square to the output; in double."""
    common = 2.0 * max(left, right)
    square = common * common / (float((1 << (2 * DIFFERENCE_BITS)) * out))
    return small_factor(op, left / common), small_factor(op, right / common), factor_of(op, square)
