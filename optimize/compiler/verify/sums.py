"""Rules of the kernel calls of sums of many, of the logarithm of softmax, of choices and of casts."""

from __future__ import annotations

import math

from optimize.compiler.kernels_sums import (
    AddNCall,
    CumSumCall,
    FloatAddNCall,
    FloatCumSumCall,
    FloatDivCall,
    LogSoftmaxCall,
    SelectCall,
)
from optimize.compiler.kernels_types import BYTES, CastCall
from optimize.compiler.verify.common import Operands, Rule, sizes


def _add_n(payload: AddNCall, inputs: Operands, outputs: Operands) -> str:
    if len(inputs) != payload.inputs:
        return f"{len(inputs)} inputs where the kernel reads {payload.inputs}"
    return sizes(*((tensor.bytes, payload.count) for tensor in (*inputs, *outputs)))


def _cumsum(payload: CumSumCall, inputs: Operands, outputs: Operands) -> str:
    elements = payload.outer * payload.depth * payload.inner
    return sizes((inputs[0].bytes, elements), (outputs[0].bytes, elements))


def _float_add_n(payload: FloatAddNCall, inputs: Operands, outputs: Operands) -> str:
    if len(inputs) != payload.inputs:
        return f"{len(inputs)} inputs where the kernel reads {payload.inputs}"
    return sizes(*((tensor.bytes, 4 * payload.count) for tensor in (*inputs, *outputs)))


def _float_cumsum(payload: FloatCumSumCall, inputs: Operands, outputs: Operands) -> str:
    bytes_each = 4 * payload.outer * payload.depth * payload.inner
    return sizes((inputs[0].bytes, bytes_each), (outputs[0].bytes, bytes_each))


def _float_div(payload: FloatDivCall, inputs: Operands, outputs: Operands) -> str:
    reach = [
        1 + sum((extent - 1) * stride for extent, stride in zip(payload.extents, strides, strict=True))
        for strides in payload.strides
    ]
    parts = ((tensor.bytes, 4 * size) for tensor, size in zip(inputs, reach, strict=True))
    return sizes(*parts, (outputs[0].bytes, 4 * math.prod(payload.extents)))


def _log_softmax(payload: LogSoftmaxCall, inputs: Operands, outputs: Operands) -> str:
    elements = payload.rows * payload.depth
    return sizes((inputs[0].bytes, elements), (outputs[0].bytes, elements))


def _select(payload: SelectCall, inputs: Operands, outputs: Operands) -> str:
    reach = [
        1 + sum((extent - 1) * stride for extent, stride in zip(payload.extents, strides, strict=True))
        for strides in payload.strides
    ]
    widths = (1, payload.size, payload.size)
    parts = ((tensor.bytes, size * width) for tensor, size, width in zip(inputs, reach, widths, strict=True))
    return sizes(*parts, (outputs[0].bytes, math.prod(payload.extents) * payload.size))


def _cast(payload: CastCall, inputs: Operands, outputs: Operands) -> str:
    return sizes(
        (inputs[0].bytes, BYTES[payload.source] * payload.count),
        (outputs[0].bytes, BYTES[payload.target] * payload.count),
    )


RULES: dict[type, Rule] = {
    AddNCall: _add_n,
    CumSumCall: _cumsum,
    FloatAddNCall: _float_add_n,
    FloatCumSumCall: _float_cumsum,
    FloatDivCall: _float_div,
    LogSoftmaxCall: _log_softmax,
    SelectCall: _select,
    CastCall: _cast,
}
