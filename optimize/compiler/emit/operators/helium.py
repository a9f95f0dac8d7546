"""Calls on the Helium kernels as C."""

from __future__ import annotations

from dataclasses import replace

from optimize.compiler import kernels_helium as helium
from optimize.compiler.emit.operators.common import (
    Code,
    Emitter,
    Fields,
    Operands,
    call_text,
    scratch_call_text,
    struct_text,
    window_fields,
)
from optimize.compiler.emit.operators.reduction import pool_struct
from optimize.compiler.emit.text import braces, byte_array
from optimize.compiler.kernels_helium import GROUP


def _requantize(name: str, q: helium.HeliumRequantize) -> tuple[tuple[str, ...], str]:
    """(arrays, initializer) of a flota_nn_helium_requantize_t."""
    columns = (q.biases, q.multipliers, q.shifts)
    rows = (", ".join(braces(values[i : i + GROUP]) for values in columns) for i in range(0, len(q.biases), GROUP))
    lines = "\n".join(f"    {{{row}}}," for row in rows)
    count = len(q.biases) // GROUP
    array = f"static const flota_nn_helium_group_t {name}_groups[{count}] = {{\n{lines}\n}};\n"
    value = (
        f"{{.groups = {name}_groups, .plain = {int(q.plain)}, "
        f".offset = {q.offset}, .min = {q.clamp[0]}, .max = {q.clamp[1]}}}"
    )
    return (array,), value


def _gemm(name: str, gemm: helium.HeliumGemm) -> tuple[tuple[str, ...], str]:
    """(arrays, initializer) of a flota_nn_helium_gemm_t."""
    arrays, requantize = _requantize(name, gemm.requantize)
    value = (
        f"{{.channels = {gemm.channels}, .blocks = {gemm.blocks}, .weights = {name}_weights, "
        f".requantize = {requantize}}}"
    )
    return (byte_array(f"{name}_weights", gemm.weights), *arrays), value


def _conv(name: str, call: helium.HeliumConvCall, operands: Operands) -> Code:
    arrays, gemm = _gemm(name, call.gemm)
    fields: Fields = {
        **window_fields(call.input, call.output, call.window),
        "input_zero": call.input_zero,
        "gemm": gemm,
    }
    parameters = struct_text("flota_nn_helium_conv_t", name, fields)
    return Code((*arrays, parameters), _scratch_call("flota_nn_helium_conv_s8", name, operands))


def _pointwise(name: str, call: helium.HeliumPointwiseCall, operands: Operands) -> Code:
    arrays, gemm = _gemm(name, call.gemm)
    fields: Fields = {"pixels": call.pixels, "in_channels": call.in_channels, "gemm": gemm}
    parameters = struct_text("flota_nn_helium_pointwise_t", name, fields)
    return Code((*arrays, parameters), _scratch_call("flota_nn_helium_pointwise_s8", name, operands))


def _depthwise(name: str, call: helium.HeliumDepthwiseCall, operands: Operands) -> Code:
    arrays, requantize = _requantize(name, call.requantize)
    fields: Fields = {
        **window_fields(call.input, call.output, call.window),
        "rows": call.rows,
        "columns": call.columns,
        "input_zero": call.input_zero,
        "weights": f"{name}_weights",
        "requantize": requantize,
    }
    parameters = struct_text("flota_nn_helium_depthwise_t", name, fields)
    weights = byte_array(f"{name}_weights", call.weights)
    return Code((weights, *arrays, parameters), _scratch_call("flota_nn_helium_depthwise_s8", name, operands))


def _fully_connected(name: str, call: helium.HeliumFullyConnectedCall, operands: Operands) -> Code:
    arrays, gemm = _gemm(name, call.gemm)
    fields: Fields = {"batches": call.batches, "in_features": call.in_features, "gemm": gemm}
    parameters = struct_text("flota_nn_helium_fully_connected_t", name, fields)
    return Code((*arrays, parameters), _scratch_call("flota_nn_helium_fully_connected_s8", name, operands))


def _elementwise(name: str, call: helium.HeliumElementwiseCall, operands: Operands) -> Code:
    fields: Fields = {
        "count": call.extents[0],
        "input_offset": braces(call.input_offsets),
        "input_multiplier": braces(call.input_multipliers),
        "input_shift": braces(call.input_shifts),
        "multiplier": call.multiplier,
        "shift": call.shift,
        "offset": call.output_offset,
        "min": call.clamp[0],
        "max": call.clamp[1],
    }
    parameters = struct_text("flota_nn_helium_elementwise_t", name, fields)
    return Code((parameters,), call_text(f"flota_nn_helium_{call.kind}_s8", name, operands))


def _linear(name: str, call: helium.HeliumLinearCall, operands: Operands) -> Code:
    fields: Fields = {
        "count": call.count,
        "factor": braces(call.factors),
        "bias": call.bias,
        "right_shift": call.shift,
        "min": call.clamp[0],
        "max": call.clamp[1],
    }
    parameters = struct_text("flota_nn_helium_linear_t", name, fields)
    return Code((parameters,), call_text("flota_nn_helium_linear_s8", name, operands))


def _pool(name: str, call: helium.HeliumPoolCall, operands: Operands) -> Code:
    return Code((pool_struct(name, call),), call_text(f"flota_nn_helium_{call.kind}_pool_s8", name, operands))


def _scratch_call(function: str, name: str, operands: Operands) -> tuple[str, ...]:
    return scratch_call_text(function, name, replace(operands, scratch=f"(int8_t *)({operands.scratch})"))


EMITTERS: dict[type, Emitter] = {
    helium.HeliumConvCall: _conv,
    helium.HeliumLinearCall: _linear,
    helium.HeliumPointwiseCall: _pointwise,
    helium.HeliumPoolCall: _pool,
    helium.HeliumDepthwiseCall: _depthwise,
    helium.HeliumElementwiseCall: _elementwise,
    helium.HeliumFullyConnectedCall: _fully_connected,
}
