"""Calls of the DSP kernels as C."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optimize.compiler import kernels_dsp as dsp
from optimize.compiler.emit.common import Code, Operands, call_with_scratch, image, struct, window
from optimize.compiler.emit.text import braces, number_array


def _gemm(name: str, gemm: dsp.Gemm) -> tuple[tuple[str, ...], str]:
    """(arrays, initializer) of a flota_nn_dsp_gemm_t."""
    rows = "\n".join(
        f"    {{.bias = {braces(g.bias)}, .multiplier = {braces(g.multiplier)}, .shift = {braces(g.shift)}}},"
        for g in gemm.groups
    )
    channels = f"static const flota_nn_dsp_channels_t {name}_channels[{len(gemm.groups)}] = {{\n{rows}\n}};\n"
    words = number_array("uint32_t", f"{name}_weights", np.frombuffer(gemm.weights, "<u4").tolist(), "0x{:08x}".format)
    last = gemm.channels - 4 * (len(gemm.groups) - 1)
    value = (
        f"{{.weights = {name}_weights, .channels = {name}_channels, .groups = {len(gemm.groups)}, "
        f".last_channels = {last}, .pairs = {gemm.pairs}, .offset = {2 * gemm.output_zero + 1}, "
        f".min = {gemm.clamp[0]}, .max = {gemm.clamp[1]}}}"
    )
    return (words, channels), value


def _conv(name: str, call: dsp.DspConvCall, operands: Operands) -> Code:
    arrays, gemm = _gemm(name, call.gemm)
    fields: dict[str, str | int] = {
        "input": image(call.input),
        "output": image(call.output),
        "window": window(call.window),
        "run_bytes": call.run_bytes,
        "runs_per_row": call.runs_per_row,
        "zero": call.input_zero,
        "gemm": gemm,
    }
    parameters = struct("flota_nn_dsp_conv_t", name, fields)
    return Code((*arrays, parameters), call_with_scratch("flota_nn_dsp_conv_s8", name, operands))


def _pointwise(name: str, call: dsp.DspPointwiseCall, operands: Operands) -> Code:
    arrays, gemm = _gemm(name, call.gemm)
    fields: dict[str, str | int] = {
        "pixels": call.pixels,
        "in_channels": call.in_channels,
        "out_channels": call.out_channels,
        "gemm": gemm,
    }
    parameters = struct("flota_nn_dsp_pointwise_t", name, fields)
    return Code((*arrays, parameters), call_with_scratch("flota_nn_dsp_pointwise_s8", name, operands))


def _fully_connected(name: str, call: dsp.DspFullyConnectedCall, operands: Operands) -> Code:
    arrays, gemm = _gemm(name, call.gemm)
    fields: dict[str, str | int] = {
        "batches": call.batches,
        "in_features": call.in_features,
        "out_features": call.out_features,
        "gemm": gemm,
    }
    parameters = struct("flota_nn_dsp_fully_connected_t", name, fields)
    return Code((*arrays, parameters), call_with_scratch("flota_nn_dsp_fully_connected_s8", name, operands))


DSP_EMITTERS: dict[type, Callable[[str, Any, Operands], Code]] = {
    dsp.DspConvCall: _conv,
    dsp.DspPointwiseCall: _pointwise,
    dsp.DspFullyConnectedCall: _fully_connected,
}
