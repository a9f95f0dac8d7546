"""Lowering of the operators on two inputs, of softmax, and of the changes of type."""

from __future__ import annotations

from typing import Literal, cast

import numpy as np

from optimize.compiler import ir
from optimize.compiler.fixed_point import float32, softmax_exponentials, softmax_scaling
from optimize.compiler.geometry import merge_axes
from optimize.compiler.ir import Op, Tensor
from optimize.compiler.kernels import DequantizeCall, ElementwiseCall, QuantizeCall, SoftmaxCall, SoftmaxTableCall
from optimize.compiler.kernels_sums import FloatDivCall
from optimize.compiler.kernels_types import RescaleCall
from optimize.compiler.kernels_values import BroadcastCall
from optimize.compiler.lowering.broadcast import broadcast_call
from optimize.compiler.lowering.common import (
    SCALE_HINT,
    broadcast_strides,
    check_rank,
    clamp_of,
    factor_of,
    quant_of,
    require_output,
    small_factor,
)
from optimize.compiler.lowering.table import Lowering
from optimize.errors import InvalidModel, UnsupportedOperator

FLOAT_MAX = float(np.finfo(np.float32).max)

TABLE_VALUES = 256
"""Values of a softmax from which a table of up to 1 KiB is worth it: it saves 270 of 325 instructions for each."""


def _binary(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> ElementwiseCall | BroadcastCall | FloatDivCall:
    assert isinstance(op.payload, ir.Binary)
    if output.dtype == "float32":
        return _float_quotient(op, inputs, output)
    if op.payload.kind not in ("add", "sub", "mul"):
        return broadcast_call(op, op.payload, inputs, output)
    quants = [quant_of(op, tensor) for tensor in (*inputs, output)]
    scales = [scale for scale, _ in quants]
    input_pairs = [(0, 0), (0, 0)]
    if op.payload.kind == "mul":
        result = factor_of(op, scales[0] * scales[1] / scales[2])
    else:
        factors = _sum_factors(scales[0], scales[1], scales[2], in_float=op.payload.kind == "sub")
        input_pairs = [small_factor(op, factor) for factor in factors[:2]]
        result = small_factor(op, factors[2])
    extents, strides = merge_axes(output.shape, *(broadcast_strides(tensor, output) for tensor in inputs))
    check_rank(op, len(extents))
    return ElementwiseCall(
        kind=op.payload.kind,
        extents=extents,
        strides=(strides[0], strides[1]),
        input_offsets=(-quants[0][1], -quants[1][1]),
        input_multipliers=(input_pairs[0][0], input_pairs[1][0]),
        input_shifts=(input_pairs[0][1], input_pairs[1][1]),
        multiplier=result[0],
        shift=result[1],
        output_offset=quants[2][1],
        clamp=clamp_of(op, op.payload.activation, output),
    )


FLOAT_CLAMPS: dict[ir.Activation, tuple[float, float]] = {
    "NONE": (-FLOAT_MAX, FLOAT_MAX),
    "RELU": (0.0, FLOAT_MAX),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU6": (0.0, 6.0),
}
"""Where the interpreter holds results of float32; without an activation, too, which leaves no infinity."""


def _float_quotient(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> FloatDivCall:
    """What a converter leaves between DEQUANTIZE and QUANTIZE, as it has no quantized form of DIV."""
    assert isinstance(op.payload, ir.Binary)
    extents, strides = merge_axes(output.shape, *(broadcast_strides(tensor, output) for tensor in inputs))
    check_rank(op, len(extents))
    return FloatDivCall(extents, (strides[0], strides[1]), FLOAT_CLAMPS[op.payload.activation])


def _sum_factors(left: float, right: float, out: float, *, in_float: bool) -> tuple[float, float, float]:
    """Factors of ADD (computed in double) or SUB (in float32): inputs to a common scale 2**20 finer, then out."""
    common = 2 * max(left, right)
    if not in_float:
        return left / common, right / common, common / ((1 << 20) * out)
    common = float32(common)
    return float32(left / common), float32(right / common), float32(common / float32((1 << 20) * out))


def _softmax(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> SoftmaxCall | SoftmaxTableCall:
    assert isinstance(op.payload, ir.Softmax)
    scale, _ = quant_of(op, inputs[0])
    if output.dtype == "int16":
        require_output(op, output, 1.0 / 65536, -32768, tolerance=0.001 / 65536)
    else:
        require_output(op, output, 1.0 / 256, -128)
    if op.payload.beta * scale * (1 << 26) <= 1.0:
        raise InvalidModel(f"{op.label}: beta * scale = {op.payload.beta * scale:g} is too small", hint=SCALE_HINT)
    multiplier, left_shift, diff_min = softmax_scaling(op.payload.beta, scale)
    depth = output.shape[-1] if output.shape else 1
    if depth > 4096:
        raise UnsupportedOperator(
            f"{op.label}: {depth} classes, at most 4096", hint="the sum of exponents would overflow"
        )
    if output.dtype == "int8" and output.elements >= TABLE_VALUES:
        table = softmax_exponentials(multiplier, left_shift, diff_min)
        return SoftmaxTableCall(output.elements // depth, depth, table)
    target: Literal["int8", "int16"] = "int16" if output.dtype == "int16" else "int8"
    return SoftmaxCall(output.elements // depth, depth, multiplier, left_shift, diff_min, target)


def _quantize(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> QuantizeCall:
    target: Literal["int8", "int16"] = "int16" if output.dtype == "int16" else "int8"
    return QuantizeCall(output.elements, *quant_of(op, output), target)


def _dequantize(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> DequantizeCall:
    source = cast('Literal["int8", "uint8", "int16"]', inputs[0].dtype)
    return DequantizeCall(output.elements, *quant_of(op, inputs[0]), source)


def _rescale(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> RescaleCall:
    (in_scale, in_zero), (out_scale, out_zero) = quant_of(op, inputs[0]), quant_of(op, output)
    factor = factor_of(op, in_scale / out_scale)
    return RescaleCall(output.elements, inputs[0].dtype, output.dtype, -in_zero, *factor, out_zero)


LOWERINGS: dict[type, Lowering] = {
    ir.Binary: _binary,
    ir.Softmax: _softmax,
    ir.Quantize: _quantize,
    ir.Dequantize: _dequantize,
    ir.Rescale: _rescale,
}
