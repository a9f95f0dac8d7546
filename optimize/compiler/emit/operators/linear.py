"""C of the linear functions."""

from __future__ import annotations

from optimize.compiler.emit.operators.common import Code, Emitter, Operands, call_text, struct_text, walk_fields
from optimize.compiler.emit.text import braces
from optimize.compiler.kernels_linear import LinearCall


def _linear(name: str, call: LinearCall, operands: Operands) -> Code:
    fields = walk_fields(call.extents, call.strides) | {
        "factor": braces(call.factors),
        "bias": call.bias,
        "shift": call.shift,
        "min": call.clamp[0],
        "max": call.clamp[1],
    }
    return Code((struct_text("flota_nn_linear_t", name, fields),), call_text("flota_nn_linear_s8", name, operands))


EMITTERS: dict[type, Emitter] = {LinearCall: _linear}
