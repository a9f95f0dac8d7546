"""Kernel calls as C: a table from the class of the call to the function that writes it; the families lie here.

Each emitter returns the operator's constants (arrays and one parameter struct) and the statements that run it.
"""

from __future__ import annotations

from optimize.compiler.emit.operators import (
    dsp_depthwise,
    dsp_elementwise,
    dsp_gemm,
    dsp_plane,
    dsp_recurrent,
    dsp_reduction,
    elementwise,
    helium,
    linear,
    movement,
    rearranging,
    recurrent,
    reduction,
    state,
    sums,
    values,
    weighted,
)
from optimize.compiler.emit.operators.common import Code, Emitter, Operands
from optimize.compiler.ir import Op

__all__ = ["EMITTERS", "Code", "Operands", "emit_operator"]


def emit_operator(identifier: str, op: Op, operands: Operands) -> Code:
    """C of one lowered operator; ``identifier`` prefixes the names of its constants."""
    return EMITTERS[type(op.payload)](identifier, op.payload, operands)


FAMILIES = (
    dsp_depthwise,
    dsp_elementwise,
    dsp_gemm,
    dsp_plane,
    dsp_recurrent,
    dsp_reduction,
    elementwise,
    helium,
    linear,
    movement,
    rearranging,
    recurrent,
    reduction,
    state,
    sums,
    values,
    weighted,
)

EMITTERS: dict[type, Emitter] = {key: row for family in FAMILIES for key, row in family.EMITTERS.items()}
"""Kernel call -> its emitter."""
