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
from optimize.compiler.kernels_sums import (
    AddNCall,
    CumSumCall,
    FloatAddNCall,
    FloatCumSumCall,
    FloatDivCall,
    LogSoftmaxCall,
    SelectCall,
)
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
    call_statement = f"flota_nn_add_n_s8(&{name}_parameters, inputs, {operands.outputs[0]});"
    return Code((struct_text("flota_nn_add_n_t", name, fields),), (*_gathered("int8_t", operands), call_statement))


def _gathered(c_type: str, operands: Operands) -> tuple[str, ...]:
    """The addresses of all inputs in an array."""
    addresses = (f"inputs[{place}] = {operand};" for place, operand in enumerate(operands.inputs))
    return (f"const {c_type} *inputs[{len(operands.inputs)}];", "", *addresses)


def _float_add_n(name: str, call: FloatAddNCall, operands: Operands) -> Code:
    arguments = f"{call.count}, {call.inputs}, inputs, {operands.outputs[0]}"
    return Code((), (*_gathered("float", operands), f"flota_nn_add_n_f32({arguments});"))


def _float_cumsum(name: str, call: FloatCumSumCall, operands: Operands) -> Code:
    fields: Fields = {
        "outer": call.outer,
        "depth": call.depth,
        "inner": call.inner,
        "exclusive": int(call.exclusive),
        "reverse": int(call.reverse),
    }
    return Code((struct_text("flota_nn_cumsum_t", name, fields),), call_text("flota_nn_cumsum_f32", name, operands))


def _float_div(name: str, call: FloatDivCall, operands: Operands) -> Code:
    fields = walk_fields(call.extents, call.strides)
    fields |= {"min": f"{call.clamp[0].hex()}f", "max": f"{call.clamp[1].hex()}f"}
    return Code((struct_text("flota_nn_div_f32_t", name, fields),), call_text("flota_nn_div_f32", name, operands))


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
    FloatAddNCall: _float_add_n,
    FloatCumSumCall: _float_cumsum,
    FloatDivCall: _float_div,
    LogSoftmaxCall: _log_softmax,
    SelectCall: _select,
    CastCall: _cast,
}
