"""Readers of the operators that compute each value from one or two others, and of softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from optimize.compiler import schema
from optimize.compiler.flatbuffer import TRUNCATED_HINT
from optimize.compiler.ir import (
    AddN,
    Binary,
    CumSum,
    Dequantize,
    FloatFunction,
    LogSoftmax,
    Opaque,
    Quantize,
    Rescale,
    Softmax,
    Unary,
)
from optimize.compiler.operators.context import MAX_OPERANDS, ONE, TWO, Context, Rule, read_activation
from optimize.errors import InvalidModel


def _plain_binary(kind: Literal["maximum", "minimum", "prelu", "squared_difference"]) -> Callable[[Context], Binary]:
    """Two inputs and no activation."""
    return lambda context: Binary(kind, "NONE")


def _binary(kind: Literal["add", "sub", "mul", "div"]) -> Callable[[Context], Binary]:
    def read(context: Context) -> Binary:
        code = 0 if context.options is None else context.options.i8(schema.ArithmeticOptions.FUSED_ACTIVATION_FUNCTION)
        return Binary(kind, read_activation(context, code))

    return read


def _cumsum(context: Context) -> CumSum:
    options, axes = context.options, context.constant(1, "the axis")
    if len(axes) != 1:
        raise context.invalid(f"{len(axes)} axes")
    exclusive, reverse = (
        options is not None and options.flag(field)
        for field in (schema.CumsumOptions.EXCLUSIVE, schema.CumsumOptions.REVERSE)
    )
    return CumSum(context.axis(axes[0], len(context.inputs[0].shape)), exclusive, reverse)


def _softmax(context: Context) -> Softmax:
    beta = context.required().f32(schema.SoftmaxOptions.BETA)
    if not 0.0 < beta < float("inf"):
        raise InvalidModel(f"{context.label}: beta {beta}", hint=TRUNCATED_HINT)
    return Softmax(beta)


RESCALED = {"int8": ("int16", "int32"), "int16": ("int8", "int16", "int32"), "int32": ("int8", "int16")}
"""Which whole numbers QUANTIZE turns into which by a factor; among 8-bit ones a table does it."""


def _quantize(context: Context) -> Quantize | Unary | Rescale | Opaque:
    source, target = context.inputs[0].dtype, context.outputs[0].dtype
    if (source, target) in (("float32", "int8"), ("float32", "int16")):
        return Quantize()
    if (source, target) in (("int8", "int8"), ("int8", "uint8"), ("uint8", "int8")):
        return Unary("requantize")
    if target in RESCALED.get(source, ()):
        return Rescale()
    return Opaque(f"it turns {source} into {target}", "export the model with int8, int16 or float32 inputs and outputs")


def _dequantize(context: Context) -> Dequantize | Opaque:
    source, target = context.inputs[0].dtype, context.outputs[0].dtype
    if source in ("int8", "uint8", "int16") and target == "float32":
        return Dequantize()
    return Opaque(f"it turns {source} into {target}", "quantize the model to full int8")


def _leaky_relu(context: Context) -> Unary:
    alpha = context.required().f32(schema.LeakyReluOptions.ALPHA)
    if not abs(alpha) < 2.0**20:
        raise context.invalid(f"alpha {alpha}")
    return Unary("leaky_relu", alpha)


def _unary(
    kind: Literal["relu", "relu6", "logistic", "tanh", "hard_swish", "elu", "abs", "rsqrt"],
) -> Callable[[Context], Unary]:
    return lambda context: Unary(kind)


def _float_function(
    kind: Literal["neg", "square", "sqrt", "exp", "log", "sin", "cos", "floor", "ceil", "round"],
) -> Callable[[Context], FloatFunction]:
    return lambda context: FloatFunction(kind)


RULES: dict[str, Rule] = {
    "ABS": Rule(_unary("abs"), ONE),
    "ADD_N": Rule(lambda _: AddN(), range(2, MAX_OPERANDS + 1)),
    "CEIL": Rule(_float_function("ceil"), ONE),
    "COS": Rule(_float_function("cos"), ONE),
    "ELU": Rule(_unary("elu"), ONE),
    "EXP": Rule(_float_function("exp"), ONE),
    "FLOOR": Rule(_float_function("floor"), ONE),
    "HARD_SWISH": Rule(_unary("hard_swish"), ONE),
    "LEAKY_RELU": Rule(_leaky_relu, ONE, options_type=75),
    "ROUND": Rule(_float_function("round"), ONE),
    "RSQRT": Rule(_unary("rsqrt"), ONE),
    "ADD": Rule(_binary("add"), TWO, options_type=11),
    "CUMSUM": Rule(_cumsum, TWO, options_type=102, runtime_inputs=1),
    "DEQUANTIZE": Rule(_dequantize, ONE),
    "DIV": Rule(_binary("div"), TWO, options_type=29),
    "LOG": Rule(_float_function("log"), ONE),
    "LOGISTIC": Rule(_unary("logistic"), ONE),
    "LOG_SOFTMAX": Rule(lambda _: LogSoftmax(), ONE),
    "MAXIMUM": Rule(_plain_binary("maximum"), TWO),
    "MINIMUM": Rule(_plain_binary("minimum"), TWO),
    "MUL": Rule(_binary("mul"), TWO, options_type=21),
    "NEG": Rule(_float_function("neg"), ONE),
    "PRELU": Rule(_plain_binary("prelu"), TWO),
    "QUANTIZE": Rule(_quantize, ONE),
    "RELU": Rule(_unary("relu"), ONE),
    "RELU6": Rule(_unary("relu6"), ONE),
    "SIN": Rule(_float_function("sin"), ONE),
    "SOFTMAX": Rule(_softmax, ONE, options_type=9),
    "SQRT": Rule(_float_function("sqrt"), ONE),
    "SQUARE": Rule(_float_function("square"), ONE),
    "SQUARED_DIFFERENCE": Rule(_plain_binary("squared_difference"), TWO),
    "SUB": Rule(_binary("sub"), TWO, options_type=28),
    "TANH": Rule(_unary("tanh"), ONE),
}
