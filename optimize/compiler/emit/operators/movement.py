"""C of the kernels that only move values."""

from __future__ import annotations

from optimize.compiler import kernels
from optimize.compiler.emit.operators.common import Code, Emitter, Fields, Operands, call_text, struct_text
from optimize.compiler.emit.text import braces
from optimize.compiler.kernels import MAX_RANK


def _pad(name: str, call: kernels.PadCall, operands: Operands) -> Code:
    fields: Fields = {
        "rank": len(call.extents),
        "extent": braces(call.extents, MAX_RANK, 1),
        "before": braces(call.before, MAX_RANK),
        "after": braces(call.after, MAX_RANK),
        "value": call.value,
    }
    return Code((struct_text("flota_nn_pad_t", name, fields),), call_text("flota_nn_pad_s8", name, operands))


def _transpose(name: str, call: kernels.TransposeCall, operands: Operands) -> Code:
    fields: Fields = {
        "rank": len(call.extents),
        "extent": braces(call.extents, MAX_RANK, 1),
        "stride": braces(call.strides, MAX_RANK),
    }
    struct = struct_text("flota_nn_transpose_t", name, fields)
    return Code((struct,), call_text("flota_nn_transpose_s8", name, operands))


def _concat(name: str, call: kernels.ConcatCall, operands: Operands) -> Code:
    stride, start, statements = sum(call.row_bytes), 0, []
    for source, run in zip(operands.inputs, call.row_bytes, strict=True):
        target = f"{operands.outputs[0]} + {start}" if start else operands.outputs[0]
        statements.append(f"flota_nn_concat({call.rows}, {run}, {stride}, {source}, {target});")
        start += run
    return Code((), tuple(statements))


EMITTERS: dict[type, Emitter] = {
    kernels.PadCall: _pad,
    kernels.TransposeCall: _transpose,
    kernels.ConcatCall: _concat,
}
