"""C of sums of many, of the logarithm of softmax, of choices and of casts."""

from __future__ import annotations

from optimize.compiler.emit.operators.common import (
    Code,
    Emitter,
    Fields,
    Operands,
    call_text,
    struct_text,
    walk_fields,
)
from optimize.compiler.kernels_sums import AddNCall, CumSumCall, LogSoftmaxCall, SelectCall
from optimize.compiler.kernels_types import SUFFIXES, CastCall


def _add_n(name: str, call: AddNCall, operands: Operands) -> Code:
    fields: Fields = {
        "count": call.count,
        "inputs": call.inputs,
        "input_offset": call.input_offset,
        "multiplier": call.multiplier,
        "shift": call.shift,
        "output_offset": call.output_offset,
    }
    statements = [f"const int8_t *inputs[{call.inputs}];", ""]
    statements += [f"inputs[{place}] = {operand};" for place, operand in enumerate(operands.inputs)]
    statements.append(f"flota_nn_add_n_s8(&{name}_parameters, inputs, {operands.outputs[0]});")
    return Code((struct_text("flota_nn_add_n_t", name, fields),), tuple(statements))


def _cumsum(name: str, call: CumSumCall, operands: Operands) -> Code:
    fields: Fields = {
        "outer": call.outer,
        "depth": call.depth,
        "inner": call.inner,
        "exclusive": int(call.exclusive),
        "reverse": int(call.reverse),
        "input_offset": call.input_offset,
        "multiplier": call.multiplier,
        "shift": call.shift,
        "output_offset": call.output_offset,
    }
    return Code((struct_text("flota_nn_cumsum_t", name, fields),), call_text("flota_nn_cumsum_s8", name, operands))


def _log_softmax(name: str, call: LogSoftmaxCall, operands: Operands) -> Code:
    fields: Fields = {
        "rows": call.rows,
        "depth": call.depth,
        "multiplier": call.multiplier,
        "left_shift": call.left_shift,
        "reverse_multiplier": call.reverse_multiplier,
        "reverse_shift": call.reverse_shift,
        "diff_min": call.diff_min,
    }
    struct = struct_text("flota_nn_log_softmax_t", name, fields)
    return Code((struct,), call_text("flota_nn_log_softmax_s8", name, operands))


def _select(name: str, call: SelectCall, operands: Operands) -> Code:
    fields = {"size": call.size} | walk_fields(call.extents, call.strides)
    return Code((struct_text("flota_nn_select_t", name, fields),), call_text("flota_nn_select", name, operands))


def _cast(name: str, call: CastCall, operands: Operands) -> Code:
    function = f"flota_nn_cast_{SUFFIXES[call.source]}_{SUFFIXES[call.target]}"
    return Code((), (f"{function}({call.count}, {operands.inputs[0]}, {operands.outputs[0]});",))


EMITTERS: dict[type, Emitter] = {
    AddNCall: _add_n,
    CumSumCall: _cumsum,
    LogSoftmaxCall: _log_softmax,
    SelectCall: _select,
    CastCall: _cast,
}
