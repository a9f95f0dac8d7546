"""BATCH_MATMUL: what it means, and the shape of a product."""

from __future__ import annotations

from dataclasses import dataclass

from optimize.compiler.ir import SourcePayload

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BatchMatMul(SourcePayload):
    """Inputs: left [..., row, k], right [..., k, column]; ``adjoint`` says whose last two axes are swapped."""

    adjoint: tuple[bool, bool]


def product_shape(payload: BatchMatMul, left: Shape, right: Shape) -> Shape | None:
    """The shape of the product, or None where there is none. Batch axes broadcast in the NumPy manner."""
    if not (2 <= len(left) <= 5 and 2 <= len(right) <= 5):
        return None
    (rows, depth), (also_depth, columns) = matrix(left, payload.adjoint[0]), matrix(right, payload.adjoint[1])
    batches = [batch_axes(shape, max(len(left), len(right)) - 2) for shape in (left, right)]
    if depth != also_depth or any(a != b and 1 not in (a, b) for a, b in zip(*batches, strict=True)):
        return None
    return (*(max(a, b) for a, b in zip(*batches, strict=True)), rows, columns)


def matrix(shape: Shape, adjoint: bool) -> tuple[int, int]:
    """The last two axes as they enter the product."""
    return (shape[-1], shape[-2]) if adjoint else (shape[-2], shape[-1])


def batch_axes(shape: Shape, count: int) -> Shape:
    """The axes before the last two, filled up with ones to ``count``."""
    return (1,) * (count - len(shape) + 2) + shape[:-2]
