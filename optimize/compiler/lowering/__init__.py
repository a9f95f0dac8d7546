"""How each operator becomes the call of one C kernel, with all its parameters as integers; the families lie here.

Real scales become multipliers and shifts exactly as the Prepare functions of the TensorFlow Lite Micro kernels compute
them (tensorflow/lite/micro/kernels/*_common.cc): some in double, some in float32, which changes last bits.
"""

from __future__ import annotations

from optimize.compiler.lowering import (
    elementwise,
    lookup,
    movement,
    products,
    rearranging,
    recurrent,
    reduction,
    state,
    sums,
    weighted,
)
from optimize.compiler.lowering.table import Lowering

FAMILIES = (
    elementwise,
    lookup,
    movement,
    products,
    rearranging,
    recurrent,
    reduction,
    state,
    sums,
    weighted,
)

LOWERINGS: dict[type, Lowering] = {key: row for family in FAMILIES for key, row in family.LOWERINGS.items()}
"""Payload -> how it is lowered."""
