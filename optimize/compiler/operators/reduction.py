"""Readers of the operators that make one value of many: pooling and means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from optimize.compiler import schema
from optimize.compiler.flatbuffer import TRUNCATED_HINT
from optimize.compiler.ir import Mean, Pool
from optimize.compiler.operators.context import ONE, TWO, Context, Rule, read_activation, read_padding, read_pair
from optimize.errors import InvalidModel


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
    rank = len(context.inputs[0].shape)
    axes = context.constant(1, "the axes")
    if any(not -rank <= axis < rank for axis in axes):
        raise InvalidModel(f"{context.label}: axes {list(axes)} of a tensor of rank {rank}", hint=TRUNCATED_HINT)
    return Mean(tuple(sorted({axis % rank for axis in axes})))


RULES: dict[str, Rule] = {
    "AVERAGE_POOL_2D": Rule(_pool("average"), ONE, options_type=5),
    "MAX_POOL_2D": Rule(_pool("max"), ONE, options_type=5),
    "MEAN": Rule(_mean, TWO, runtime_inputs=1),
}
