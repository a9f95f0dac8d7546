"""Depthwise calls of the DSP extension as C."""

from __future__ import annotations

from optimize.compiler import kernels_dsp_depthwise as dsp
from optimize.compiler.emit.operators.common import (
    Code,
    Emitter,
    Fields,
    Operands,
    call_text,
    clamp_text,
    scratch_call_text,
    struct_text,
    window_fields,
)
from optimize.compiler.emit.text import braces, byte_array, number_array


def axes_fields(rows: dsp.Axis, columns: dsp.Axis) -> Fields:
    """Members of a kernel that runs down the columns of an image."""
    return {
        "rows": rows.extent,
        "columns": columns.extent,
        "out_rows": rows.out_extent,
        "out_columns": columns.out_extent,
        "row_step": rows.step,
        "column_step": columns.step,
        "out_row_step": rows.out_step,
        "out_column_step": columns.out_step,
        "row_pad": rows.pad,
        "column_pad": columns.pad,
    }


def _depthwise3(name: str, call: dsp.DspDepthwise3Call, operands: Operands) -> Code:
    rows = "\n".join(f"    {{{{{_weights(c)}}}, {c.multiplier}}}," for c in call.channels)
    count = len(call.channels)
    channels = f"static const flota_nn_dsp_depthwise3_channel_t {name}_channels[{count}] = {{\n{rows}\n}};\n"
    tops = number_array("int8_t", f"{name}_bias_top", [c.bias >> 24 for c in call.channels])
    fields: Fields = {
        "batches": call.input.batches,
        "channels": count,
        **axes_fields(call.rows, call.columns),
        "stride": call.stride,
        "zero": call.input_zero,
        "channel": f"{name}_channels",
        "bias_top": f"{name}_bias_top",
        "exact": f"{name}_exact" if call.exact else "NULL",
        "run_exact": call.run_exact or "NULL",
    }
    parameters = struct_text("flota_nn_dsp_depthwise3_t", name, fields)
    statements = scratch_call_text("flota_nn_dsp_depthwise3_s8", name, operands)
    clamped = clamp_text(call.output.elements, call.clamp, operands)
    return Code((channels, tops, *_exact(name, call), parameters), (*statements, *clamped))


def _weights(channel: dsp.Channel3) -> str:
    """The words of a channel's weights, each with eight bits of its bias on top, the lowest first."""
    words = (word | (channel.bias >> 8 * i & 0xFF) << 24 for i, word in enumerate(channel.weights))
    return ", ".join(f"0x{word:08x}" for word in words)


def _exact(name: str, call: dsp.DspDepthwise3Call) -> tuple[str, ...]:
    """The channels that are rounded twice, where there are any."""
    if not call.exact:
        return ()
    values = (
        (e.bias, e.multiplier, e.shift, (1 << (e.shift - 1)) + call.output_zero * (1 << e.shift)) for e in call.exact
    )
    rows = "\n".join(f"    {braces(row)}," for row in values)
    return (f"static const flota_nn_dsp_depthwise3_exact_t {name}_exact[{len(call.exact)}] = {{\n{rows}\n}};\n",)


def _depthwise(name: str, call: dsp.DspDepthwiseCall, operands: Operands) -> Code:
    portable = call.portable
    arrays = [
        byte_array(f"{name}_weights", call.weights),
        number_array("int32_t", f"{name}_bias", call.biases),
        number_array("int32_t", f"{name}_multiplier", call.multipliers),
    ]
    if call.shifts is not None:
        arrays.append(number_array("int8_t", f"{name}_shift", call.shifts))
    fields: Fields = {
        **window_fields(portable.input, portable.output, portable.window),
        "input_offset": portable.input_offset,
        "output_zero": portable.requantize.offset,
        "weights": f"{name}_weights",
        "bias": f"{name}_bias",
        "multiplier": f"{name}_multiplier",
        "shift": "NULL" if call.shifts is None else f"{name}_shift",
    }
    struct = struct_text("flota_nn_dsp_depthwise_t", name, fields)
    function = "flota_nn_dsp_depthwise_s8" if call.shifts is None else "flota_nn_dsp_depthwise_exact_s8"
    clamped = clamp_text(portable.output.elements, portable.requantize.clamp, operands)
    return Code((*arrays, struct), (*call_text(function, name, operands), *clamped))


EMITTERS: dict[type, Emitter] = {dsp.DspDepthwise3Call: _depthwise3, dsp.DspDepthwiseCall: _depthwise}
