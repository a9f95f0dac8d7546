"""Computes at compile time what depends on constants only: above all the shape arithmetic converters leave behind.

A model with an open batch computes the target of a RESHAPE from SHAPE, STRIDED_SLICE and PACK. Shapes are fixed here,
so such a chain is a constant, and operators that need a constant operand find one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optimize.compiler import ir
from optimize.compiler.ir import Op, Tensor
from optimize.compiler.verify import RULES

MAX_BYTES = 64 * 1024
"""Larger results are computed at run time: a constant would cost as much flash."""

NUMPY_TYPES: dict[str, str] = {
    "int8": "i1",
    "uint8": "u1",
    "bool": "u1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "float32": "<f4",
}
Array = np.ndarray[Any, Any]


def fold(op: Op, tensors: Sequence[Tensor]) -> bytes | None:
    """The bytes of the only result of ``op``; None where it is not constant, or not legal as the verifier will say."""
    evaluate = EVALUATORS.get(type(op.payload))
    if evaluate is None or len(op.outputs) != 1:
        return None
    inputs, output = tuple(tensors[i] for i in op.inputs), tensors[op.outputs[0]]
    known = output.data is None and all(tensor.data is not None for tensor in inputs)
    if not known or not 0 < output.bytes <= MAX_BYTES or not {t.dtype for t in (*inputs, output)} <= set(NUMPY_TYPES):
        return None
    if RULES[type(op.payload)](op.payload, inputs, (output,)):
        return None
    value = evaluate(op.payload, tuple(_array(tensor) for tensor in inputs), output)
    return None if value is None else value.astype(NUMPY_TYPES[output.dtype]).tobytes()


def _array(tensor: Tensor) -> Array:
    assert tensor.data is not None
    return np.frombuffer(tensor.data, NUMPY_TYPES[tensor.dtype]).reshape(tensor.shape)


def _known(payload: ir.Known, inputs: tuple[Array, ...], output: Tensor) -> Array:
    return np.frombuffer(payload.data, NUMPY_TYPES[output.dtype])


def _same(payload: ir.Reshape | ir.Cast, inputs: tuple[Array, ...], output: Tensor) -> Array | None:
    return inputs[0] if inputs[0].dtype.kind in "iu" else None


def _rearrange(payload: ir.Rearrange, inputs: tuple[Array, ...], output: Tensor) -> Array:
    result = np.full(output.elements, payload.fill or 0, NUMPY_TYPES[output.dtype])
    for move in payload.moves:
        target = _positions(move.extents, move.target_strides, move.target_offset)
        source = _positions(move.extents, move.source_strides, move.source_offset)
        result[target] = inputs[move.source].ravel()[source]
    return result


def _positions(extents: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Array:
    positions = np.full(extents, offset, np.int64)
    for axis, (extent, stride) in enumerate(zip(extents, strides, strict=True)):
        shape = [extent if other == axis else 1 for other in range(len(extents))]
        positions += (np.arange(extent) * stride).reshape(shape)
    return positions.ravel()


def _take(payload: ir.Take, inputs: tuple[Array, ...], output: Tensor) -> Array:
    cells = inputs[0].reshape((*payload.shape, payload.run))
    return cells[:, list(payload.rows)][:, :, list(payload.columns)]


def _concat(payload: ir.Concat, inputs: tuple[Array, ...], output: Tensor) -> Array | None:
    return np.concatenate(inputs, axis=payload.axis) if output.dtype in ("int32", "int64") else None


FOLDED: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
}


def _binary(payload: ir.Binary, inputs: tuple[Array, ...], output: Tensor) -> Array | None:
    if output.dtype not in ("int32", "int64") or payload.activation != "NONE":
        return None
    function = FOLDED.get(payload.kind)
    return None if function is None else function(*inputs)


EVALUATORS: dict[type, Callable[[Any, tuple[Array, ...], Tensor], Array | None]] = {
    ir.Known: _known,
    ir.Cast: _same,
    ir.Reshape: _same,
    ir.Rearrange: _rearrange,
    ir.Take: _take,
    ir.Concat: _concat,
    ir.Binary: _binary,
}
