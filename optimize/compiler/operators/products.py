"""Reader of the product of two matrices."""

from __future__ import annotations

from optimize.compiler import schema
from optimize.compiler.batch_matmul import BatchMatMul
from optimize.compiler.operators.context import TWO, Context, Rule


def _batch_matmul(context: Context) -> BatchMatMul:
    options, field = context.required(), schema.BatchMatMulOptions
    return BatchMatMul((options.flag(field.ADJ_X), options.flag(field.ADJ_Y)))


RULES: dict[str, Rule] = {"BATCH_MATMUL": Rule(_batch_matmul, TWO, options_type=101)}
