"""Readers of the operators that only move values."""

from __future__ import annotations

import math

import numpy as np

from optimize.compiler import schema
from optimize.compiler.flatbuffer import TRUNCATED_HINT
from optimize.compiler.ir import Concat, Pad, Reshape, Transpose
from optimize.compiler.operators.context import MANY, ONE, TWO, Context, Rule
from optimize.errors import InvalidModel, UnsupportedOperator


def _pad(context: Context) -> Pad:
    amounts = context.constant(1, "the paddings")
    pairs = tuple(zip(amounts[::2], amounts[1::2], strict=True)) if len(amounts) % 2 == 0 else ()
    if len(pairs) != len(context.inputs[0].shape) or min(amounts, default=0) < 0:
        raise InvalidModel(f"{context.label}: paddings {list(amounts)}", hint=TRUNCATED_HINT)
    return Pad(pairs, _pad_value(context))


def _pad_value(context: Context) -> int | None:
    if len(context.inputs) < 3:
        return None
    value, output = context.inputs[2], context.outputs[0]
    if value.data is None or value.dtype != "int8" or value.elements != 1:
        raise UnsupportedOperator(f"{context.label}: the padding value must be a constant int8", hint="pad with zeros")
    if value.quant is None or output.quant is None or value.quant.scales != output.quant.scales:
        raise UnsupportedOperator(f"{context.label}: the padding value is quantized differently", hint="pad with zeros")
    return int(np.frombuffer(value.data, np.int8)[0])


def _transpose(context: Context) -> Transpose:
    permutation = context.constant(1, "the permutation")
    if sorted(permutation) != list(range(len(context.inputs[0].shape))):
        raise InvalidModel(f"{context.label}: permutation {list(permutation)}", hint=TRUNCATED_HINT)
    return Transpose(permutation)


def _concat(context: Context) -> Concat:
    options, rank = context.required(), len(context.outputs[0].shape)
    axis = options.i32(schema.ConcatenationOptions.AXIS)
    if not -rank <= axis < rank:
        raise InvalidModel(f"{context.label}: axis {axis} of a tensor of rank {rank}", hint=TRUNCATED_HINT)
    if options.i8(schema.ConcatenationOptions.FUSED_ACTIVATION_FUNCTION) != 0:
        raise UnsupportedOperator(f"{context.label}: a fused activation", hint="use a separate activation layer")
    return Concat(axis % rank)


def _reshape(context: Context) -> Reshape:
    """The output says its shape; where the file leaves that open, the target shape does."""
    if context.outputs[0].open_shape:
        context.expect(_target(context))
    return Reshape()


def _target(context: Context) -> tuple[int, ...]:
    """The shape asked for, in the second operand or in the options; one size may be -1."""
    options, count = context.options, context.inputs[0].elements
    if len(context.inputs) == 2:
        wanted = context.constant(1, "the shape")
    else:
        wanted = () if options is None else options.i32s(schema.ReshapeOptions.NEW_SHAPE, limit=8, what="new shape")
    known = math.prod(size for size in wanted if size != -1)
    if known < 1 or wanted.count(-1) > 1 or count % known:
        raise context.invalid(f"{count} values do not fill {list(wanted)}")
    return tuple(count // known if size == -1 else size for size in wanted)


def _expand_dims(context: Context) -> Reshape:
    if context.outputs[0].open_shape:
        shape, axes = context.inputs[0].shape, context.constant(1, "the axis")
        axis = context.axis(axes[0] if axes else 0, len(shape) + 1)
        context.expect((*shape[:axis], 1, *shape[axis:]))
    return Reshape()


def _squeeze(context: Context) -> Reshape:
    if context.outputs[0].open_shape:
        shape, options = context.inputs[0].shape, context.options
        named = () if options is None else options.i32s(schema.SqueezeOptions.SQUEEZE_DIMS, limit=8, what="axes")
        axes = {context.axis(axis, len(shape)) for axis in named} or {a for a, size in enumerate(shape) if size == 1}
        context.expect(tuple(size for axis, size in enumerate(shape) if axis not in axes))
    return Reshape()


RULES: dict[str, Rule] = {
    "CONCATENATION": Rule(_concat, MANY, options_type=10),
    "EXPAND_DIMS": Rule(_expand_dims, TWO, runtime_inputs=1),
    "PAD": Rule(_pad, TWO, runtime_inputs=1),
    "PADV2": Rule(_pad, range(3, 4), runtime_inputs=1),
    "RESHAPE": Rule(_reshape, range(1, 3), options_type=17, runtime_inputs=1),
    "SQUEEZE": Rule(_squeeze, ONE, options_type=30),
    "TRANSPOSE": Rule(_transpose, TWO, runtime_inputs=1),
}
