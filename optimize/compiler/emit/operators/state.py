"""C of what moves values into and out of the state."""

from __future__ import annotations

from optimize.compiler.emit.operators.common import Code, Emitter, Operands
from optimize.compiler.kernels_state import CopyCall, ShiftCall


def _copy(name: str, call: CopyCall, operands: Operands) -> Code:
    return Code((), (f"memcpy({operands.outputs[0]}, {operands.inputs[0]}, {call.count});",))


def _shift(name: str, call: ShiftCall, operands: Operands) -> Code:
    window, end = operands.outputs[0], call.kept
    statements = [f"memmove({window}, {window} + {sum(call.fresh)}, {call.kept});"]
    for source, size in zip(operands.inputs[1:], call.fresh, strict=True):
        statements.append(f"memcpy({window} + {end}, {source}, {size});")
        end += size
    return Code((), tuple(statements))


EMITTERS: dict[type, Emitter] = {CopyCall: _copy, ShiftCall: _shift}
