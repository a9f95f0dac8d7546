"""Lowering of the operators on two inputs beyond sums and products: extremes, PRELU, differences."""

from __future__ import annotations

from optimize.compiler import ir
from optimize.compiler.geometry import merge_axes
from optimize.compiler.ir import Op, Tensor
from optimize.compiler.kernels_values import BroadcastCall
from optimize.compiler.lowering.common import (
    broadcast_strides,
    check_rank,
    factor_of,
    quant_of,
    small_factor,
)

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
    quants = [quant_of(op, tensor) for tensor in (*inputs, output)]
    scales = quants[0][0], quants[1][0], quants[2][0]
    offsets, zero_point = (-quants[0][1], -quants[1][1]), quants[2][1]
    if payload.kind == "prelu":
        positive, rest = factor_of(op, scales[0] / scales[2]), factor_of(op, scales[0] * scales[1] / scales[2])
        return BroadcastCall("prelu", extents, pair, offsets, (positive[0], 0), (positive[1], 0), *rest, zero_point)
    left, right, result = _difference_factors(op, *scales)
    multipliers, shifts = (left[0], right[0]), (left[1], right[1])
    return BroadcastCall("squared_difference", extents, pair, offsets, multipliers, shifts, *result, zero_point)


Pair = tuple[int, int]


def _difference_factors(op: Op, left: float, right: float, out: float) -> tuple[Pair, Pair, Pair]:
    """Factors of both inputs to a common scale, and of the square to the output; in double."""
    common = 2.0 * max(left, right)
    square = common * common / (float((1 << (2 * DIFFERENCE_BITS)) * out))
    return small_factor(op, left / common), small_factor(op, right / common), factor_of(op, square)
