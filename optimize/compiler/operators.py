"""What each operator of a ``.tflite`` file means: a table from operator name to the reader of its options.

An operator that is not in the table becomes ``Opaque`` and is refused later, unless nothing needs its result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from optimize.compiler import schema
from optimize.compiler.flatbuffer import TRUNCATED_HINT, Table
from optimize.compiler.ir import (
    Activation,
    Binary,
    Concat,
    Conv2D,
    DepthwiseConv2D,
    Dequantize,
    FullyConnected,
    Mean,
    Opaque,
    Pad,
    Padding,
    Pool,
    Quantize,
    Reshape,
    Softmax,
    SourcePayload,
    Tensor,
    Transpose,
    Unary,
)
from optimize.errors import InvalidModel, UnsupportedOperator


@dataclass(frozen=True, slots=True)
class Context:
    """One operator while it is read: its label for errors, its options (None where absent) and its operands."""

    label: str
    options: Table | None
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def required(self) -> Table:
        """The options, of an operator that cannot do without."""
        if self.options is None:
            raise InvalidModel(f"{self.label}: its options are missing", hint=TRUNCATED_HINT)
        return self.options

    def constant(self, operand: int, what: str) -> tuple[int, ...]:
        """The integers of a constant int32 operand."""
        tensor = self.inputs[operand]
        if tensor.dtype != "int32" or tensor.data is None:
            raise UnsupportedOperator(
                f"{self.label}: {what} must be constant int32",
                hint="export the model with fixed shapes so that the converter folds it",
            )
        return tuple(int(value) for value in np.frombuffer(tensor.data, "<i4"))


@dataclass(frozen=True, slots=True)
class Rule:
    """How to read one operator.

    ``inputs`` gives the allowed numbers of inputs, ``runtime_inputs`` how many of them are needed at run time (None:
    all), ``options_type`` the member of the options union it uses (0: none are read).
    """

    read: Callable[[Context], SourcePayload]
    inputs: range
    options_type: int = 0
    runtime_inputs: int | None = None


def read_payload(
    name: str, label: str, table: Table, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]
) -> tuple[SourcePayload, int]:
    """(payload, number of leading inputs needed at run time) of one operator.

    Raises:
        InvalidModel: operands or options are missing or of the wrong kind.
        UnsupportedOperator: an option has a value the compiler has no code for.
    """
    rule = RULES.get(name)
    if rule is None:
        return Opaque("the compiler has no code for it", _way_out(name)), len(inputs)
    if len(inputs) not in rule.inputs or len(outputs) != 1:
        raise InvalidModel(f"{label}: {len(inputs)} inputs, {len(outputs)} outputs", hint=TRUNCATED_HINT)
    context = Context(label, _options(table, rule.options_type, label), inputs, outputs)
    runtime_inputs = len(inputs) if rule.runtime_inputs is None else rule.runtime_inputs
    return rule.read(context), runtime_inputs


def _options(table: Table, expected: int, label: str) -> Table | None:
    actual = table.u8(schema.Operator.BUILTIN_OPTIONS_TYPE)
    if expected == 0 or actual == 0:
        return None
    if actual != expected:
        raise InvalidModel(f"{label}: options of another operator (type {actual})", hint=TRUNCATED_HINT)
    return table.table(schema.Operator.BUILTIN_OPTIONS)


def _way_out(name: str) -> str:
    if name.startswith("CUSTOM"):
        return "rewrite the layer with built-in operators"
    supported = ", ".join(sorted(RULES))
    return f"replace the layer, or run the model with target cortex-m4f-tflm or linux-litert; supported: {supported}"


def _activation(context: Context, code: int) -> Activation:
    name = schema.ACTIVATIONS[code] if 0 <= code < len(schema.ACTIVATIONS) else str(code)
    if name not in ("NONE", "RELU", "RELU_N1_TO_1", "RELU6"):
        raise UnsupportedOperator(
            f"{context.label}: fused activation {name}", hint="use RELU, RELU6 or a separate activation layer"
        )
    return cast("Activation", name)


def _padding(context: Context, code: int) -> Padding:
    if not 0 <= code < len(schema.PADDINGS):
        raise InvalidModel(f"{context.label}: padding {code} is not in the schema", hint=TRUNCATED_HINT)
    return cast("Padding", schema.PADDINGS[code])


def _pair(context: Context, what: str, vertical: int, horizontal: int) -> tuple[int, int]:
    if not (1 <= vertical <= 4096 and 1 <= horizontal <= 4096):
        raise InvalidModel(f"{context.label}: {what} {vertical}x{horizontal}", hint=TRUNCATED_HINT)
    return vertical, horizontal


def _conv(context: Context) -> Conv2D:
    options, field = context.required(), schema.Conv2DOptions
    return Conv2D(
        stride=_pair(context, "stride", options.i32(field.STRIDE_H), options.i32(field.STRIDE_W)),
        dilation=_pair(
            context, "dilation", options.i32(field.DILATION_H_FACTOR, 1), options.i32(field.DILATION_W_FACTOR, 1)
        ),
        padding=_padding(context, options.i8(field.PADDING)),
        activation=_activation(context, options.i8(field.FUSED_ACTIVATION_FUNCTION)),
    )


def _depthwise(context: Context) -> DepthwiseConv2D:
    options, field = context.required(), schema.DepthwiseConv2DOptions
    return DepthwiseConv2D(
        stride=_pair(context, "stride", options.i32(field.STRIDE_H), options.i32(field.STRIDE_W)),
        dilation=_pair(
            context, "dilation", options.i32(field.DILATION_H_FACTOR, 1), options.i32(field.DILATION_W_FACTOR, 1)
        ),
        padding=_padding(context, options.i8(field.PADDING)),
        activation=_activation(context, options.i8(field.FUSED_ACTIVATION_FUNCTION)),
    )


def _fully_connected(context: Context) -> FullyConnected:
    options, field = context.required(), schema.FullyConnectedOptions
    if options.i8(field.WEIGHTS_FORMAT) != 0:
        raise UnsupportedOperator(f"{context.label}: shuffled weights", hint="export with the default weights format")
    return FullyConnected(_activation(context, options.i8(field.FUSED_ACTIVATION_FUNCTION)))


def _pool(kind: Literal["average", "max"]) -> Callable[[Context], Pool]:
    def read(context: Context) -> Pool:
        options, field = context.required(), schema.Pool2DOptions
        return Pool(
            kind,
            size=_pair(context, "window", options.i32(field.FILTER_HEIGHT), options.i32(field.FILTER_WIDTH)),
            stride=_pair(context, "stride", options.i32(field.STRIDE_H), options.i32(field.STRIDE_W)),
            padding=_padding(context, options.i8(field.PADDING)),
            activation=_activation(context, options.i8(field.FUSED_ACTIVATION_FUNCTION)),
        )

    return read


def _binary(kind: Literal["add", "sub", "mul"]) -> Callable[[Context], Binary]:
    def read(context: Context) -> Binary:
        code = 0 if context.options is None else context.options.i8(schema.ArithmeticOptions.FUSED_ACTIVATION_FUNCTION)
        return Binary(kind, _activation(context, code))

    return read


def _mean(context: Context) -> Mean:
    rank = len(context.inputs[0].shape)
    axes = context.constant(1, "the axes")
    if any(not -rank <= axis < rank for axis in axes):
        raise InvalidModel(f"{context.label}: axes {list(axes)} of a tensor of rank {rank}", hint=TRUNCATED_HINT)
    return Mean(tuple(sorted({axis % rank for axis in axes})))


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


def _softmax(context: Context) -> Softmax:
    beta = context.required().f32(schema.SoftmaxOptions.BETA)
    if not 0.0 < beta < float("inf"):
        raise InvalidModel(f"{context.label}: beta {beta}", hint=TRUNCATED_HINT)
    return Softmax(beta)


def _quantize(context: Context) -> Quantize | Unary | Opaque:
    source, target = context.inputs[0].dtype, context.outputs[0].dtype
    if (source, target) == ("float32", "int8"):
        return Quantize()
    if (source, target) == ("int8", "int8"):
        return Unary("requantize")
    return Opaque(f"it turns {source} into {target}", "export the model with int8 or float32 inputs and outputs")


def _dequantize(context: Context) -> Dequantize | Opaque:
    source, target = context.inputs[0].dtype, context.outputs[0].dtype
    if (source, target) == ("int8", "float32"):
        return Dequantize()
    return Opaque(f"it turns {source} into {target}", "quantize the model to full int8")


def _unary(kind: Literal["relu", "relu6", "logistic", "tanh"]) -> Callable[[Context], Unary]:
    return lambda context: Unary(kind)


def _reshape(context: Context) -> Reshape:
    return Reshape()


ONE, TWO = range(1, 2), range(2, 3)

RULES: dict[str, Rule] = {
    "ADD": Rule(_binary("add"), TWO, options_type=11),
    "AVERAGE_POOL_2D": Rule(_pool("average"), ONE, options_type=5),
    "CONCATENATION": Rule(_concat, range(1, 257), options_type=10),
    "CONV_2D": Rule(_conv, range(2, 4), options_type=1),
    "DEPTHWISE_CONV_2D": Rule(_depthwise, range(2, 4), options_type=2),
    "DEQUANTIZE": Rule(_dequantize, ONE),
    "EXPAND_DIMS": Rule(_reshape, TWO, runtime_inputs=1),
    "FULLY_CONNECTED": Rule(_fully_connected, range(2, 4), options_type=8),
    "LOGISTIC": Rule(_unary("logistic"), ONE),
    "MAX_POOL_2D": Rule(_pool("max"), ONE, options_type=5),
    "MEAN": Rule(_mean, TWO, runtime_inputs=1),
    "MUL": Rule(_binary("mul"), TWO, options_type=21),
    "PAD": Rule(_pad, TWO, runtime_inputs=1),
    "PADV2": Rule(_pad, range(3, 4), runtime_inputs=1),
    "QUANTIZE": Rule(_quantize, ONE),
    "RELU": Rule(_unary("relu"), ONE),
    "RELU6": Rule(_unary("relu6"), ONE),
    "RESHAPE": Rule(_reshape, range(1, 3), runtime_inputs=1),
    "SOFTMAX": Rule(_softmax, ONE, options_type=9),
    "SQUEEZE": Rule(_reshape, ONE),
    "SUB": Rule(_binary("sub"), TWO, options_type=28),
    "TANH": Rule(_unary("tanh"), ONE),
    "TRANSPOSE": Rule(_transpose, TWO, runtime_inputs=1),
}
