"""C of the element-wise kernels, of softmax and of changes of type."""

from __future__ import annotations

from optimize.compiler import kernels
from optimize.compiler.emit.operators.common import (
    Code,
    Emitter,
    Fields,
    Operands,
    call_text,
    elementwise_struct,
    struct_text,
)
from optimize.compiler.emit.text import number_array
from optimize.compiler.kernels_types import SUFFIXES, RescaleCall


def _elementwise(name: str, call: kernels.ElementwiseCall, operands: Operands) -> Code:
    return Code((elementwise_struct(name, call),), call_text(f"flota_nn_{call.kind}_s8", name, operands))


def _softmax(name: str, call: kernels.SoftmaxCall, operands: Operands) -> Code:
    fields: Fields = {
        "rows": call.rows,
        "depth": call.depth,
        "multiplier": call.multiplier,
        "left_shift": call.left_shift,
        "diff_min": call.diff_min,
    }
    function = "flota_nn_softmax_s8" if call.target == "int8" else "flota_nn_softmax_s8_s16"
    return Code((struct_text("flota_nn_softmax_t", name, fields),), call_text(function, name, operands))


def _softmax_table(name: str, call: kernels.SoftmaxTableCall, operands: Operands) -> Code:
    table = number_array("uint32_t", f"{name}_exponentials", call.exponentials)
    fields: Fields = {
        "rows": call.rows,
        "depth": call.depth,
        "count": len(call.exponentials),
        "exponentials": f"{name}_exponentials",
    }
    parameters = struct_text("flota_nn_softmax_table_t", name, fields)
    return Code((table, parameters), call_text("flota_nn_softmax_table_s8", name, operands))


def _lookup(name: str, call: kernels.LookupCall, operands: Operands) -> Code:
    table = number_array("int8_t", f"{name}_table", call.table)
    source, target = _signed(operands.inputs[0], "const int8_t *"), _signed(operands.outputs[0], "int8_t *")
    return Code((table,), (f"flota_nn_lookup_s8({call.count}, {name}_table, {source}, {target});",))


def _signed(operand: str, c_type: str) -> str:
    """A uint8 operand as the bytes the table is made for."""
    return f"({c_type}){operand}" if "uint8_t *)" in operand else operand


def _quantize(name: str, call: kernels.QuantizeCall, operands: Operands) -> Code:
    return Code((), (f"flota_nn_quantize_f32_{SUFFIXES[call.target]}({_affine(call, operands)});",))


def _dequantize(name: str, call: kernels.DequantizeCall, operands: Operands) -> Code:
    return Code((), (f"flota_nn_dequantize_{SUFFIXES[call.source]}_f32({_affine(call, operands)});",))


def _rescale(name: str, call: RescaleCall, operands: Operands) -> Code:
    fields: Fields = {
        "count": call.count,
        "input_offset": call.input_offset,
        "multiplier": call.multiplier,
        "shift": call.shift,
        "output_offset": call.output_offset,
    }
    function = f"flota_nn_rescale_{SUFFIXES[call.source]}_{SUFFIXES[call.target]}"
    return Code((struct_text("flota_nn_rescale_t", name, fields),), call_text(function, name, operands))


def _affine(call: kernels.QuantizeCall | kernels.DequantizeCall, operands: Operands) -> str:
    # A hexadecimal literal holds the float32 exactly.
    return f"{call.count}, {call.scale.hex()}f, {call.zero_point}, {operands.inputs[0]}, {operands.outputs[0]}"


EMITTERS: dict[type, Emitter] = {
    kernels.ElementwiseCall: _elementwise,
    kernels.SoftmaxCall: _softmax,
    kernels.SoftmaxTableCall: _softmax_table,
    kernels.LookupCall: _lookup,
    kernels.QuantizeCall: _quantize,
    kernels.DequantizeCall: _dequantize,
    RescaleCall: _rescale,
}
