"""Rules of the kernel calls: what the C code will touch is the size of its operands."""

from __future__ import annotations

import math

from optimize.compiler import kernels
from optimize.compiler.kernels_types import BYTES, RescaleCall
from optimize.compiler.verify.common import Operands, Rule, sizes


def _images(
    payload: kernels.ConvCall | kernels.DepthwiseCall | kernels.PoolCall, inputs: Operands, out: Operands
) -> str:
    return sizes((inputs[0].bytes, payload.input.elements), (out[0].bytes, payload.output.elements))


def _fully_connected(payload: kernels.FullyConnectedCall, inputs: Operands, outputs: Operands) -> str:
    return sizes(
        (inputs[0].bytes, payload.batches * payload.in_features),
        (outputs[0].bytes, payload.batches * payload.out_features),
        (len(payload.weights), payload.in_features * payload.out_features),
    )


def _mean(payload: kernels.MeanCall, inputs: Operands, outputs: Operands) -> str:
    kept, reduced = (math.prod(extent for extent, _ in axes) for axes in (payload.kept, payload.reduced))
    return sizes((inputs[0].bytes, kept * reduced), (outputs[0].bytes, kept))


def _elementwise(payload: kernels.ElementwiseCall, inputs: Operands, outputs: Operands) -> str:
    reach = [
        1 + sum((extent - 1) * stride for extent, stride in zip(payload.extents, strides, strict=True))
        for strides in payload.strides
    ]
    return sizes(
        (inputs[0].bytes, reach[0]), (inputs[1].bytes, reach[1]), (outputs[0].bytes, math.prod(payload.extents))
    )


def _pad(payload: kernels.PadCall, inputs: Operands, outputs: Operands) -> str:
    padded = zip(payload.extents, payload.before, payload.after, strict=True)
    return sizes(
        (inputs[0].bytes, math.prod(payload.extents)), (outputs[0].bytes, math.prod(sum(axis) for axis in padded))
    )


def _transpose(payload: kernels.TransposeCall, inputs: Operands, outputs: Operands) -> str:
    elements = math.prod(payload.extents)
    return sizes((inputs[0].bytes, elements), (outputs[0].bytes, elements))


def _concat(payload: kernels.ConcatCall, inputs: Operands, outputs: Operands) -> str:
    parts = tuple((tensor.bytes, payload.rows * run) for tensor, run in zip(inputs, payload.row_bytes, strict=True))
    return sizes(*parts, (outputs[0].bytes, payload.rows * sum(payload.row_bytes)))


def _softmax(payload: kernels.SoftmaxCall, inputs: Operands, outputs: Operands) -> str:
    elements = payload.rows * payload.depth
    return sizes((inputs[0].bytes, elements), (outputs[0].bytes, elements * BYTES[payload.target]))


def _softmax_table(payload: kernels.SoftmaxTableCall, inputs: Operands, outputs: Operands) -> str:
    elements = payload.rows * payload.depth
    if not 1 <= len(payload.exponentials) <= 256:
        return f"{len(payload.exponentials)} exponentials"
    return sizes((inputs[0].bytes, elements), (outputs[0].bytes, elements))


def _lookup(payload: kernels.LookupCall, inputs: Operands, outputs: Operands) -> str:
    return sizes((inputs[0].bytes, payload.count), (outputs[0].bytes, payload.count), (len(payload.table), 256))


def _quantize(payload: kernels.QuantizeCall, inputs: Operands, outputs: Operands) -> str:
    return sizes((inputs[0].bytes, 4 * payload.count), (outputs[0].bytes, BYTES[payload.target] * payload.count))


def _dequantize(payload: kernels.DequantizeCall, inputs: Operands, outputs: Operands) -> str:
    return sizes((inputs[0].bytes, BYTES[payload.source] * payload.count), (outputs[0].bytes, 4 * payload.count))


def _rescale(payload: RescaleCall, inputs: Operands, outputs: Operands) -> str:
    return sizes(
        (inputs[0].bytes, BYTES[payload.source] * payload.count),
        (outputs[0].bytes, BYTES[payload.target] * payload.count),
    )


RULES: dict[type, Rule] = {
    kernels.ConvCall: _images,
    kernels.DepthwiseCall: _images,
    kernels.FullyConnectedCall: _fully_connected,
    kernels.PoolCall: _images,
    kernels.MeanCall: _mean,
    kernels.ElementwiseCall: _elementwise,
    kernels.PadCall: _pad,
    kernels.TransposeCall: _transpose,
    kernels.ConcatCall: _concat,
    kernels.SoftmaxCall: _softmax,
    kernels.SoftmaxTableCall: _softmax_table,
    kernels.LookupCall: _lookup,
    kernels.QuantizeCall: _quantize,
    kernels.DequantizeCall: _dequantize,
    RescaleCall: _rescale,
}
