"""Readers of the operators whose results the file alone determines, and of changes of type."""

from __future__ import annotations

import numpy as np

from optimize.compiler import schema
from optimize.compiler.folding import NUMPY_TYPES
from optimize.compiler.geometry import contiguous_strides
from optimize.compiler.ir import Cast, Known, Move, Opaque, Rearrange
from optimize.compiler.operators.context import ONE, TWO, Context, Rule
from optimize.compiler.shapes import broadcast_shape

INTEGERS = ("int32", "int64")
CAST_FROM = ("bool", "int8", "int16", "int32")
CAST_TO = ("int8", "int16", "int32", "float32")
"""Between what numbers known at run time only can be cast; from float32 the interpreter's result may be undefined."""


def _shape(context: Context) -> Known | Opaque:
    """Shapes are fixed, so this is a constant; an open batch counts as one."""
    output = context.outputs[0]
    if output.dtype not in INTEGERS:
        return Opaque(f"its result is {output.dtype}", "export the model with fixed shapes")
    context.expect((len(context.inputs[0].shape),))
    return Known(np.array(context.inputs[0].shape, NUMPY_TYPES[output.dtype]).tobytes())


def _fill(context: Context) -> Rearrange:
    """The second operand repeated over a shape."""
    wanted = context.constant(0, "the shape")
    context.expect(wanted)
    if context.inputs[1].elements != 1:
        raise context.invalid(f"a value of shape {list(context.inputs[1].shape)}")
    return Rearrange((Move(wanted or (1,), (0,) * max(len(wanted), 1), contiguous_strides(wanted or (1,))),))


def _zeros_like(context: Context) -> Rearrange:
    """Zero bytes, whatever the zero point, as the interpreter writes them."""
    context.expect(context.inputs[0].shape)
    return Rearrange((), fill=0)


def _product(context: Context) -> Known | Opaque:
    """Of integers that the file determines, as in shape arithmetic."""
    source, output = context.inputs[0], context.outputs[0]
    if source.data is None or source.dtype not in INTEGERS or output.dtype != source.dtype:
        return Opaque(f"a product of {source.dtype}", "multiply two tensors at a time")
    numbers = np.frombuffer(source.data, NUMPY_TYPES[source.dtype]).reshape(source.shape)
    axes = tuple(sorted({context.axis(axis, len(source.shape)) for axis in context.constant(1, "the axes")}))
    keep = context.options is not None and context.options.flag(schema.ReducerOptions.KEEP_DIMS)
    result = np.prod(numbers, axis=axes, keepdims=keep)
    context.expect(result.shape)
    return Known(np.asarray(result, NUMPY_TYPES[source.dtype]).tobytes())


def _cast(context: Context) -> Cast | Opaque:
    source, target = context.inputs[0].dtype, context.outputs[0].dtype
    if source in INTEGERS and target in INTEGERS and context.inputs[0].data is not None:
        return Cast()
    if source in CAST_FROM and target in CAST_TO:
        return Cast()
    return Opaque(f"it turns {source} into {target}", "use QUANTIZE and DEQUANTIZE between int8 and float32")


def _broadcast_args(context: Context) -> Known | Opaque:
    """The shape two shapes broadcast to."""
    left, right = (context.constant(place, "a shape") for place in (0, 1))
    output = context.outputs[0]
    if output.dtype not in INTEGERS:
        return Opaque(f"its result is {output.dtype}", "export the model with fixed shapes")
    try:
        shape = broadcast_shape(left, right)
    except ValueError as error:
        raise context.invalid(str(error)) from error
    context.expect((len(shape),))
    return Known(np.array(shape, NUMPY_TYPES[output.dtype]).tobytes())


RULES: dict[str, Rule] = {
    "BROADCAST_ARGS": Rule(_broadcast_args, TWO, runtime_inputs=0),
    "CAST": Rule(_cast, ONE),
    "FILL": Rule(_fill, TWO, runtime_inputs=(1,)),
    "REDUCE_PROD": Rule(_product, TWO, options_type=27, runtime_inputs=0),
    "SHAPE": Rule(_shape, ONE, runtime_inputs=0),
    "ZEROS_LIKE": Rule(_zeros_like, ONE, runtime_inputs=0),
}
