"""Lowering of the operators that make one value of many: pooling and means."""

from __future__ import annotations

import math

from optimize.compiler import ir
from optimize.compiler.fixed_point import INT32_MAX
from optimize.compiler.geometry import contiguous_strides, merge_axes
from optimize.compiler.ir import Op, Tensor
from optimize.compiler.kernels import MeanCall, PoolCall
from optimize.compiler.lowering.common import (
    SAME_SCALE_TOLERANCE,
    clamp_of,
    factor_of,
    image_of,
    quant_of,
    require_same_quant,
    window_of,
)
from optimize.compiler.lowering.table import Lowering
from optimize.errors import UnsupportedOperator


def _pool(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> PoolCall:
    assert isinstance(op.payload, ir.Pool)
    require_same_quant(op, inputs[0], output, SAME_SCALE_TOLERANCE)
    return PoolCall(
        kind=op.payload.kind,
        input=image_of(inputs[0]),
        output=image_of(output),
        window=window_of(op.payload, image_of(inputs[0]), op.payload.size),
        clamp=clamp_of(op, op.payload.activation, output),
    )


def _mean(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> MeanCall:
    assert isinstance(op.payload, ir.Mean)
    (in_scale, in_zero), (out_scale, out_zero) = quant_of(op, inputs[0]), quant_of(op, output)
    shape, strides = inputs[0].shape, contiguous_strides(inputs[0].shape)
    reduced = [axis in op.payload.axes for axis in range(len(shape))]
    axes = {
        flag: tuple(zip(*(row for row in zip(shape, strides, reduced, strict=True) if row[2] == flag), strict=True))
        for flag in (False, True)
    }
    kept_axes, reduced_axes = (_merged_pairs(axes[flag][:2]) for flag in (False, True))
    count = math.prod(extent for extent, _ in reduced_axes)
    if count * 256 > INT32_MAX:
        raise UnsupportedOperator(f"{op.label}: a mean over {count} values", hint="reduce in two steps")
    multiplier, shift = factor_of(op, in_scale / out_scale)
    # The interpreter folds 1/count into the multiplier, keeping as many bits as fit.
    bits = min(count.bit_length() - 1, 32, 31 + shift)
    return MeanCall(
        kept=kept_axes,
        reduced=reduced_axes,
        sum_offset=-in_zero * count,
        multiplier=(multiplier << bits) // count,
        shift=shift - bits,
        output_offset=out_zero,
    )


def _merged_pairs(columns: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, int], ...]:
    """(extent, stride) of merged axes."""
    extents, (strides,) = merge_axes(*columns) if columns else ((1,), [(0,)])
    return tuple(zip(extents, strides, strict=True))


LOWERINGS: dict[type, Lowering] = {
    ir.Pool: _pool,
    ir.Mean: _mean,
}
