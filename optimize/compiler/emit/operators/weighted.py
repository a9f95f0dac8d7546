"""C of the kernels with weights."""

from __future__ import annotations

from typing import Any

from optimize.compiler import kernels
from optimize.compiler.emit.operators.common import (
    Code,
    Emitter,
    Fields,
    Operands,
    call_text,
    struct_text,
    window_fields,
)
from optimize.compiler.emit.text import byte_array, number_array
from optimize.compiler.kernels import Requantize
from optimize.compiler.kernels_image import TransposeConvCall


def _weighted_constants(name: str, call: Any) -> tuple[list[str], Fields]:
    """Arrays of a call with weights, and the struct fields every such call ends with."""
    q: Requantize = call.requantize
    arrays = [byte_array(f"{name}_weights", call.weights)]
    if call.bias is not None:
        arrays.append(number_array("int32_t", f"{name}_bias", call.bias))
    arrays.append(number_array("int32_t", f"{name}_multiplier", q.multipliers))
    arrays.append(number_array("int8_t", f"{name}_shift", q.shifts))
    requantize = (
        f"{{.multiplier = {name}_multiplier, .shift = {name}_shift, .channel_step = {int(len(q.shifts) > 1)}, "
        f".offset = {q.offset}, .min = {q.clamp[0]}, .max = {q.clamp[1]}}}"
    )
    fields: Fields = {
        "input_offset": call.input_offset,
        "requantize": requantize,
        "weights": f"{name}_weights",
        "bias": "NULL" if call.bias is None else f"{name}_bias",
    }
    return arrays, fields


def _conv(name: str, call: kernels.ConvCall, operands: Operands) -> Code:
    arrays, fields = _weighted_constants(name, call)
    head: Fields = {
        **window_fields(call.input, call.output, call.window),
        "group_channels": call.group_channels,
    }
    struct = struct_text("flota_nn_conv_t", name, head | fields)
    return Code((*arrays, struct), call_text("flota_nn_conv_s8", name, operands))


def _depthwise(name: str, call: kernels.DepthwiseCall, operands: Operands) -> Code:
    arrays, fields = _weighted_constants(name, call)
    head = window_fields(call.input, call.output, call.window)
    struct = struct_text("flota_nn_depthwise_t", name, head | fields)
    return Code((*arrays, struct), call_text("flota_nn_depthwise_s8", name, operands))


def _fully_connected(name: str, call: kernels.FullyConnectedCall, operands: Operands) -> Code:
    arrays, fields = _weighted_constants(name, call)
    head: Fields = {
        "batches": call.batches,
        "in_features": call.in_features,
        "out_features": call.out_features,
    }
    struct = struct_text("flota_nn_fully_connected_t", name, head | fields)
    return Code((*arrays, struct), call_text("flota_nn_fully_connected_s8", name, operands))


def _transpose_conv(name: str, call: TransposeConvCall, operands: Operands) -> Code:
    arrays, fields = _weighted_constants(name, call)
    head = window_fields(call.input, call.output, call.window)
    struct = struct_text("flota_nn_depthwise_t", name, head | fields)
    return Code((*arrays, struct), call_text("flota_nn_transpose_conv_s8", name, operands))


EMITTERS: dict[type, Emitter] = {
    kernels.ConvCall: _conv,
    kernels.DepthwiseCall: _depthwise,
    kernels.FullyConnectedCall: _fully_connected,
    TransposeConvCall: _transpose_conv,
}
