"""Lowering of the operators that make one value of many: pooling and means."""

from __future__ import annotations

import math

from optimize.compiler import ir
from optimize.compiler.fixed_point import INT32_MAX
from optimize.compiler.geometry import contiguous_strides, merge_axes
from optimize.compiler.ir import Op, Tensor
from optimize.compiler.kernels import MeanCall, PoolCall
from optimize.compiler.kernels_values import ArgCall, Axes, ExtremeCall, L2NormalizationCall
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
    kept_axes, reduced_axes = _kept_and_reduced(op, inputs[0], op.payload.axes)
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


def _kept_and_reduced(op: Op, tensor: Tensor, chosen: tuple[int, ...]) -> tuple[Axes, Axes]:
    """The axes that stay and those in ``chosen``, each merged, as (extent, stride)."""
    rows = list(zip(tensor.shape, contiguous_strides(tensor.shape), strict=True))
    sides = [[row for axis, row in enumerate(rows) if (axis in chosen) == flag] for flag in (False, True)]
    kept, reduced = (_merged_pairs(tuple(zip(*side, strict=True))) for side in sides)
    if max(len(kept), len(reduced)) > 3:
        raise UnsupportedOperator(
            f"{op.label}: axes {list(chosen)} of {list(tensor.shape)}", hint="reduce in two steps"
        )
    return kept, reduced


def _reduce(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> MeanCall | ExtremeCall:
    assert isinstance(op.payload, ir.Reduce)
    kept, reduced = _kept_and_reduced(op, inputs[0], op.payload.axes)
    if op.payload.kind == "all":
        return ExtremeCall("min", kept, reduced)
    if op.payload.kind != "sum":
        require_same_quant(op, inputs[0], output)
        return ExtremeCall(op.payload.kind, kept, reduced)
    (in_scale, in_zero), (out_scale, out_zero) = quant_of(op, inputs[0]), quant_of(op, output)
    count = math.prod(extent for extent, _ in reduced)
    if count * 256 > INT32_MAX:
        raise UnsupportedOperator(f"{op.label}: a sum of {count} values", hint="reduce in two steps")
    multiplier, shift = factor_of(op, in_scale / out_scale)
    return MeanCall(kept, reduced, -in_zero * count, multiplier, shift, out_zero)


def _arg_pick(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> ArgCall:
    assert isinstance(op.payload, ir.ArgPick)
    shape, axis = inputs[0].shape, op.payload.axis
    return ArgCall(op.payload.kind, math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))


def _l2_normalization(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> L2NormalizationCall:
    _, zero_point = quant_of(op, inputs[0])
    depth = output.shape[-1] if output.shape else 1
    if depth * 255 * 255 > INT32_MAX:
        raise UnsupportedOperator(f"{op.label}: rows of {depth} values", hint="normalize rows of at most 33,000 values")
    return L2NormalizationCall(output.elements // depth, depth, -zero_point)


def _merged_pairs(columns: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, int], ...]:
    """(extent, stride) of merged axes."""
    extents, (strides,) = merge_axes(*columns) if columns else ((1,), [(0,)])
    return tuple(zip(extents, strides, strict=True))


LOWERINGS: dict[type, Lowering] = {
    ir.Pool: _pool,
    ir.Mean: _mean,
    ir.Reduce: _reduce,
    ir.ArgPick: _arg_pick,
    ir.L2Normalization: _l2_normalization,
}
