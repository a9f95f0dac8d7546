"""Readers of comparisons, of what is computed on their bools, and of the choice by one."""

from __future__ import annotations

from collections.abc import Callable

from optimize.compiler import schema
from optimize.compiler.ir import Binary, BinaryKind, Reduce, Select, Unary
from optimize.compiler.operators.context import ONE, TWO, Context, Rule


def _plain(kind: BinaryKind) -> Callable[[Context], Binary]:
    return lambda _: Binary(kind, "NONE")


def _all(context: Context) -> Reduce:
    rank = len(context.inputs[0].shape)
    axes = tuple(sorted({context.axis(axis, rank) for axis in context.constant(1, "the axes")}))
    keep = context.options is not None and context.options.flag(schema.ReducerOptions.KEEP_DIMS)
    return Reduce("all", axes, keep)


RULES: dict[str, Rule] = {
    "EQUAL": Rule(_plain("equal"), TWO),
    "GREATER": Rule(_plain("greater"), TWO),
    "GREATER_EQUAL": Rule(_plain("greater_equal"), TWO),
    "LESS": Rule(_plain("less"), TWO),
    "LESS_EQUAL": Rule(_plain("less_equal"), TWO),
    "LOGICAL_AND": Rule(_plain("logical_and"), TWO),
    "LOGICAL_NOT": Rule(lambda _: Unary("logical_not"), ONE),
    "LOGICAL_OR": Rule(_plain("logical_or"), TWO),
    "NOT_EQUAL": Rule(_plain("not_equal"), TWO),
    "REDUCE_ALL": Rule(_all, TWO, options_type=27, runtime_inputs=1),
    "SELECT_V2": Rule(lambda _: Select(), range(3, 4)),
}
