"""Readers of the operators that make one value of many: pooling and means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from optimize.compiler import schema
from optimize.compiler.ir import ArgPick, L2Normalization, Mean, Pool, Reduce
from optimize.compiler.operators.context import ONE, TWO, Context, Rule, read_activation, read_padding, read_pair


def _pool(kind: Literal["average", "max"]) -> Callable[[Context], Pool]:
    def read(context: Context) -> Pool:
        options, field = context.required(), schema.Pool2DOptions
        return Pool(
            kind,
            size=read_pair(context, "window", options.i32(field.FILTER_HEIGHT), options.i32(field.FILTER_WIDTH)),
            stride=read_pair(context, "stride", options.i32(field.STRIDE_H), options.i32(field.STRIDE_W)),
            padding=read_padding(context, options.i8(field.PADDING)),
            activation=read_activation(context, options.i8(field.FUSED_ACTIVATION_FUNCTION)),
        )

    return read


def _mean(context: Context) -> Mean:
    return Mean(_axes(context), _keeps(context))


def _keeps(context: Context) -> bool:
    return context.options is not None and context.options.flag(schema.ReducerOptions.KEEP_DIMS)


def _axes(context: Context) -> tuple[int, ...]:
    rank = len(context.inputs[0].shape)
    return tuple(sorted({context.axis(axis, rank) for axis in context.constant(1, "the axes")}))


def _reduce(kind: Literal["sum", "max", "min"]) -> Callable[[Context], Reduce]:
    return lambda context: Reduce(kind, _axes(context), _keeps(context))


def _arg_pick(kind: Literal["max", "min"]) -> Callable[[Context], ArgPick]:
    def read(context: Context) -> ArgPick:
        axes = context.constant(1, "the axis")
        if len(axes) != 1:
            raise context.invalid(f"{len(axes)} axes")
        if context.outputs[0].dtype != "int32":
            raise context.unsupported(
                f"its result is {context.outputs[0].dtype}", "ask for int32: tf.argmax(x, axis, output_type=tf.int32)"
            )
        return ArgPick(kind, context.axis(axes[0], len(context.inputs[0].shape)))

    return read


def _l2_normalization(context: Context) -> L2Normalization:
    if context.options is not None and context.options.i8(schema.ArithmeticOptions.FUSED_ACTIVATION_FUNCTION) != 0:
        raise context.unsupported("a fused activation", "use a separate activation layer")
    return L2Normalization()


RULES: dict[str, Rule] = {
    "ARG_MAX": Rule(_arg_pick("max"), TWO, runtime_inputs=1),
    "ARG_MIN": Rule(_arg_pick("min"), TWO, runtime_inputs=1),
    "AVERAGE_POOL_2D": Rule(_pool("average"), ONE, options_type=5),
    "L2_NORMALIZATION": Rule(_l2_normalization, ONE, options_type=12),
    "MAX_POOL_2D": Rule(_pool("max"), ONE, options_type=5),
    "MEAN": Rule(_mean, TWO, options_type=27, runtime_inputs=1),
    "REDUCE_MAX": Rule(_reduce("max"), TWO, options_type=27, runtime_inputs=1),
    "REDUCE_MIN": Rule(_reduce("min"), TWO, options_type=27, runtime_inputs=1),
    "SUM": Rule(_reduce("sum"), TWO, options_type=27, runtime_inputs=1),
}
