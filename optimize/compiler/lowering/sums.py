"""Lowering of sums of many tensors or along an axis, of the logarithm of softmax, of choices and of casts."""

from __future__ import annotations

import math

from optimize.compiler import ir
from optimize.compiler.fixed_point import softmax_scaling
from optimize.compiler.geometry import merge_axes
from optimize.compiler.ir import DTYPE_BYTES, Op, Tensor
from optimize.compiler.kernels import LookupCall
from optimize.compiler.kernels_sums import (
    AddNCall,
    CumSumCall,
    FloatAddNCall,
    FloatCumSumCall,
    LogSoftmaxCall,
    SelectCall,
)
from optimize.compiler.kernels_types import CastCall
from optimize.compiler.lowering.common import (
    SCALE_HINT,
    broadcast_strides,
    check_rank,
    quant_of,
    require_output,
    require_same_quant,
    small_factor,
)
from optimize.compiler.lowering.table import Lowering
from optimize.errors import InvalidModel, UnsupportedOperator

MAX_CLASSES = 4095
"""More would overflow the sum of exponentials, which has 12 bits before the point."""


def _sum_factor(op: Op, source: Tensor, output: Tensor) -> tuple[int, int]:
    """From a 2**20th of twice the input's step to the output; in double, like ADD's."""
    (scale, _), (out_scale, _) = quant_of(op, source), quant_of(op, output)
    return small_factor(op, 2 * scale / ((1 << 20) * out_scale))


def _add_n(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> AddNCall | FloatAddNCall:
    if output.dtype == "float32":
        return FloatAddNCall(output.elements, len(inputs))
    for tensor in inputs[1:]:
        require_same_quant(op, tensor, inputs[0])
    _, zero_point = quant_of(op, inputs[0])
    factor = _sum_factor(op, inputs[0], output)
    return AddNCall(output.elements, len(inputs), -zero_point, *factor, quant_of(op, output)[1])


def _cumsum(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> CumSumCall | FloatCumSumCall:
    assert isinstance(op.payload, ir.CumSum)
    shape, axis = output.shape, op.payload.axis
    series = FloatCumSumCall(
        outer=math.prod(shape[:axis]),
        depth=shape[axis],
        inner=math.prod(shape[axis + 1 :]),
        exclusive=op.payload.exclusive,
        reverse=op.payload.reverse,
    )
    if output.dtype == "float32":
        return series
    return CumSumCall(
        *(series.outer, series.depth, series.inner, series.exclusive, series.reverse),
        -quant_of(op, inputs[0])[1],
        *_sum_factor(op, inputs[0], output),
        quant_of(op, output)[1],
    )


def _log_softmax(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> LogSoftmaxCall:
    scale, _ = quant_of(op, inputs[0])
    require_output(op, output, 16.0 / 256, 127)
    if scale * (1 << 26) <= 1.0:
        raise InvalidModel(f"{op.label}: input scale {scale:g} is too small", hint=SCALE_HINT)
    if not output.shape:
        raise InvalidModel(f"{op.label}: a tensor without axes", hint="give it an axis of classes")
    depth = output.shape[-1]
    if depth > MAX_CLASSES:
        raise UnsupportedOperator(
            f"{op.label}: {depth} classes, at most {MAX_CLASSES}", hint="the sum of exponents would overflow"
        )
    multiplier, left_shift, diff_min = softmax_scaling(1.0, scale)
    reverse = small_factor(op, (1 << (31 - left_shift)) / multiplier)
    return LogSoftmaxCall(output.elements // depth, depth, multiplier, left_shift, *reverse, diff_min)


def _select(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> SelectCall:
    extents, strides = merge_axes(output.shape, *(broadcast_strides(tensor, output) for tensor in inputs))
    check_rank(op, len(extents))
    return SelectCall(DTYPE_BYTES[output.dtype], extents, (strides[0], strides[1], strides[2]))


def _cast(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> CastCall | LookupCall:
    """Of a bool to int8 nothing remains: both are a byte of 0 or 1."""
    if DTYPE_BYTES[inputs[0].dtype] == DTYPE_BYTES[output.dtype] == 1:
        return LookupCall(output.elements, tuple(range(-128, 128)))
    return CastCall(output.elements, inputs[0].dtype, output.dtype)


LOWERINGS: dict[type, Lowering] = {
    ir.AddN: _add_n,
    ir.CumSum: _cumsum,
    ir.LogSoftmax: _log_softmax,
    ir.Select: _select,
    ir.Cast: _cast,
}
