"""C of what moves values into and out of the state."""

from __future__ import annotations

from optimize.compiler.emit.operators.common import Code, Emitter, Operands
from optimize.compiler.kernels_state import CopyCall


def _copy(name: str, call: CopyCall, operands: Operands) -> Code:
    return Code((), (f"memcpy({operands.outputs[0]}, {operands.inputs[0]}, {call.count});",))


EMITTERS: dict[type, Emitter] = {CopyCall: _copy}
