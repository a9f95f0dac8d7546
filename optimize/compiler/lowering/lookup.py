"""Lowering of the functions of one int8: tables of all 256 results, computed as the interpreter computes each."""

from __future__ import annotations

from collections.abc import Callable

from optimize.compiler import ir
from optimize.compiler.activations import (
    abs_table,
    elu_table,
    hard_swish_factors,
    hard_swish_table,
    leaky_relu_table,
    rsqrt_factor,
    rsqrt_table,
)
from optimize.compiler.fixed_point import float32, logistic_table, multiply, tanh_table
from optimize.compiler.ir import Op, Tensor
from optimize.compiler.kernels import LookupCall
from optimize.compiler.lowering.common import (
    SAME_SCALE_TOLERANCE,
    SCALE_HINT,
    clamp_of,
    factor_of,
    quant_of,
    require_output,
    require_same_quant,
)
from optimize.compiler.lowering.table import Lowering
from optimize.errors import InvalidModel


def _unary(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> LookupCall:
    assert isinstance(op.payload, ir.Unary)
    table = UNARY_TABLES[op.payload.kind](op, inputs[0], output)
    return LookupCall(output.elements, table)


def _relu_table(op: Op, source: Tensor, output: Tensor) -> tuple[int, ...]:
    (in_scale, in_zero), (out_scale, out_zero) = quant_of(op, source), quant_of(op, output)
    pair = factor_of(op, float32(in_scale / out_scale))
    low = max(-128, out_zero)
    return tuple(min(max(out_zero + multiply(x - in_zero, *pair), low), 127) for x in range(-128, 128))


def _relu6_table(op: Op, source: Tensor, output: Tensor) -> tuple[int, ...]:
    require_same_quant(op, source, output, SAME_SCALE_TOLERANCE)
    low, high = clamp_of(op, "RELU6", source)
    return tuple(min(max(x, low), high) for x in range(-128, 128))


def _requantize_table(op: Op, source: Tensor, output: Tensor) -> tuple[int, ...]:
    """The kernel reads and writes bytes as int8; a uint8 is looked up, and stored, as the int8 of the same bits."""
    (in_scale, in_zero), (out_scale, out_zero) = quant_of(op, source), quant_of(op, output)
    pair = factor_of(op, in_scale / out_scale)
    low, high = (0, 255) if output.dtype == "uint8" else (-128, 127)
    stored = (x & 0xFF if source.dtype == "uint8" else x for x in range(-128, 128))
    values = (min(max(out_zero + multiply(x - in_zero, *pair), low), high) for x in stored)
    return tuple((value + 128) % 256 - 128 for value in values)


def _logistic_table(op: Op, source: Tensor, output: Tensor) -> tuple[int, ...]:
    require_output(op, output, 1.0 / 256, -128)
    return logistic_table(*_sigmoid_input(op, source))


def _tanh_table(op: Op, source: Tensor, output: Tensor) -> tuple[int, ...]:
    require_output(op, output, 1.0 / 128, 0)
    return tanh_table(*_sigmoid_input(op, source))


def _sigmoid_input(op: Op, source: Tensor) -> tuple[float, int]:
    scale, zero_point = quant_of(op, source)
    if not 2.0**-27 <= scale < 16.0:
        raise InvalidModel(f"{op.label}: input scale {scale:g}", hint=SCALE_HINT)
    return scale, zero_point


def _leaky_relu_table(op: Op, source: Tensor, output: Tensor) -> tuple[int, ...]:
    assert isinstance(op.payload, ir.Unary)
    (scale, _), (out_scale, _) = quants = quant_of(op, source), quant_of(op, output)
    for slope in (1.0, abs(op.payload.alpha)):
        factor_of(op, scale * slope / out_scale)
    return leaky_relu_table(*quants, op.payload.alpha)


def _elu_table(op: Op, source: Tensor, output: Tensor) -> tuple[int, ...]:
    quants = quant_of(op, source), quant_of(op, output)
    factor_of(op, 256.0 * quants[0][0] / quants[1][0])
    return elu_table(*quants)


def _abs_table(op: Op, source: Tensor, output: Tensor) -> tuple[int, ...]:
    quants = quant_of(op, source), quant_of(op, output)
    factor_of(op, quants[0][0] / quants[1][0])
    return abs_table(*quants)


def _rsqrt_table(op: Op, source: Tensor, output: Tensor) -> tuple[int, ...]:
    quants = quant_of(op, source), quant_of(op, output)
    _, shift = rsqrt_factor(quants[0][0], quants[1][0])
    if not -11 <= shift <= 30:
        raise InvalidModel(f"{op.label}: its scales give a factor of 2**{shift}", hint=SCALE_HINT)
    return rsqrt_table(*quants)


def _hard_swish_table(op: Op, source: Tensor, output: Tensor) -> tuple[int, ...]:
    quants = quant_of(op, source), quant_of(op, output)
    factors = hard_swish_factors(quants[0][0], quants[1][0])
    if not -15 <= factors.output[1] <= 0 or not -15 <= factors.gate[1] <= 30:
        raise InvalidModel(f"{op.label}: scales {quants[0][0]:g} and {quants[1][0]:g}", hint=SCALE_HINT)
    return hard_swish_table(*quants)


def _logical_not_table(op: Op, source: Tensor, output: Tensor) -> tuple[int, ...]:
    return tuple(int(x == 0) for x in range(-128, 128))


UNARY_TABLES: dict[str, Callable[[Op, Tensor, Tensor], tuple[int, ...]]] = {
    "relu": _relu_table,
    "relu6": _relu6_table,
    "logistic": _logistic_table,
    "tanh": _tanh_table,
    "requantize": _requantize_table,
    "leaky_relu": _leaky_relu_table,
    "hard_swish": _hard_swish_table,
    "elu": _elu_table,
    "abs": _abs_table,
    "rsqrt": _rsqrt_table,
    "logical_not": _logical_not_table,
}


def _tabulated(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> LookupCall:
    assert isinstance(op.payload, ir.Tabulated)
    return LookupCall(output.elements, op.payload.table)


LOWERINGS: dict[type, Lowering] = {
    ir.Unary: _unary,
    ir.Tabulated: _tabulated,
}
