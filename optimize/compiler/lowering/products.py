"""Lowering of the product of two matrices."""

from __future__ import annotations

from optimize.compiler.batch_matmul import BatchMatMul, batch_axes, matrix
from optimize.compiler.fixed_point import INT32_MAX
from optimize.compiler.geometry import contiguous_strides
from optimize.compiler.ir import Op, Tensor
from optimize.compiler.kernels_recurrent import BatchMatMulCall
from optimize.compiler.lowering.common import SCALE_HINT, factor_of, quant_of
from optimize.compiler.lowering.table import Lowering
from optimize.errors import InvalidModel

BATCH_AXES = 3
"""Of the kernel; the interpreter takes operands of rank 5 at most."""


def _batch_matmul(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> BatchMatMulCall:
    assert isinstance(op.payload, BatchMatMul)
    left, right = inputs
    (left_scale, left_zero), (right_scale, right_zero) = quant_of(op, left), quant_of(op, right)
    out_scale, out_zero = quant_of(op, output)
    rows, depth = matrix(left.shape, op.payload.adjoint[0])
    if depth * _reach(left_zero) * _reach(right_zero) > INT32_MAX:
        raise InvalidModel(f"{op.label}: a sum over {depth} products can leave 32 bits", hint=SCALE_HINT)
    return BatchMatMulCall(
        batch=batch_axes(output.shape, BATCH_AXES),
        left_batch=_batch_strides(left),
        right_batch=_batch_strides(right),
        rows=rows,
        columns=output.shape[-1],
        depth=depth,
        left_strides=(1, left.shape[-1]) if op.payload.adjoint[0] else (left.shape[-1], 1),
        right_strides=(right.shape[-1], 1) if op.payload.adjoint[1] else (1, right.shape[-1]),
        left_offset=-left_zero,
        right_offset=-right_zero,
        factor=factor_of(op, left_scale * right_scale / out_scale),
        output_offset=out_zero,
    )


def _reach(zero_point: int) -> int:
    return max(abs(-128 - zero_point), abs(127 - zero_point))


def _batch_strides(tensor: Tensor) -> tuple[int, ...]:
    """Elements to step along each batch axis; 0 where the operand is repeated, or has one matrix only."""
    sizes = batch_axes(tensor.shape, BATCH_AXES)
    strides = contiguous_strides((*sizes, *tensor.shape[-2:]))[:BATCH_AXES]
    return tuple(0 if size == 1 else step for size, step in zip(sizes, strides, strict=True))


LOWERINGS: dict[type, Lowering] = {BatchMatMul: _batch_matmul}
