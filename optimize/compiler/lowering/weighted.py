"""Lowering of the operators with weights: convolutions and fully connected layers."""

from __future__ import annotations

import numpy as np

from optimize.compiler import ir
from optimize.compiler.ir import Op, Tensor
from optimize.compiler.kernels import ConvCall, DepthwiseCall, FullyConnectedCall, Requantize
from optimize.compiler.kernels_image import TransposeConvCall
from optimize.compiler.lowering.common import (
    QUANT_HINT,
    check_sums,
    clamp_of,
    constant_of,
    factor_of,
    image_of,
    quant_of,
    window_of,
)
from optimize.compiler.lowering.table import Lowering
from optimize.errors import InvalidModel, UnsupportedOperator


def _weights(op: Op, inputs: tuple[Tensor, ...]) -> tuple[bytes, tuple[int, ...] | None]:
    """(weights, bias), both constant; the weights symmetric."""
    weights = constant_of(op, inputs[1], "weights")
    if inputs[1].quant is None:
        raise InvalidModel(f"{op.label}: its weights are not quantized", hint=QUANT_HINT)
    if any(inputs[1].quant.zero_points):
        raise UnsupportedOperator(f"{op.label}: its weights have a zero point", hint="quantize weights symmetrically")
    if len(inputs) < 3:
        return weights, None
    bias = np.frombuffer(constant_of(op, inputs[2], "biases"), "<i4")
    return weights, tuple(int(value) for value in bias)


def _channel_requantize(
    op: Op, activation: ir.Activation, inputs: tuple[Tensor, ...], output: Tensor, axis: int
) -> Requantize:
    """Factors per output channel, along ``axis`` of the weights; computed in double."""
    in_scale, _ = quant_of(op, inputs[0])
    out_scale, out_zero = quant_of(op, output)
    quant = inputs[1].quant
    assert quant is not None
    channels = inputs[1].shape[axis]
    if len(quant.scales) not in (1, channels) or (len(quant.scales) > 1 and quant.axis != axis):
        raise InvalidModel(f"{op.label}: {len(quant.scales)} weight scales for {channels} channels", hint=QUANT_HINT)
    pairs = [factor_of(op, in_scale * scale / out_scale) for scale in quant.scales]
    return _requantize(pairs, out_zero, clamp_of(op, activation, output))


def _requantize(pairs: list[tuple[int, int]], offset: int, clamp: tuple[int, int]) -> Requantize:
    if len(set(pairs)) == 1:
        pairs = pairs[:1]
    multipliers, shifts = zip(*pairs, strict=True)
    return Requantize(tuple(multipliers), tuple(shifts), offset, clamp)


def _conv(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> ConvCall:
    assert isinstance(op.payload, ir.Conv2D)
    weights, bias = _weights(op, inputs)
    _, zero_point = quant_of(op, inputs[0])
    filters, height, width, depth = inputs[1].shape
    check_sums(op, np.frombuffer(weights, np.int8).reshape(filters, -1), bias, zero_point)
    return ConvCall(
        input=image_of(inputs[0]),
        output=image_of(output),
        window=window_of(op.payload, image_of(inputs[0]), (height, width)),
        group_channels=depth,
        input_offset=-zero_point,
        requantize=_channel_requantize(op, op.payload.activation, inputs, output, axis=0),
        weights=weights,
        bias=bias,
    )


def _depthwise(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> DepthwiseCall:
    assert isinstance(op.payload, ir.DepthwiseConv2D)
    weights, bias = _weights(op, inputs)
    _, zero_point = quant_of(op, inputs[0])
    _, height, width, channels = inputs[1].shape
    check_sums(op, np.frombuffer(weights, np.int8).reshape(-1, channels).T, bias, zero_point)
    return DepthwiseCall(
        input=image_of(inputs[0]),
        output=image_of(output),
        window=window_of(op.payload, image_of(inputs[0]), (height, width)),
        input_offset=-zero_point,
        requantize=_channel_requantize(op, op.payload.activation, inputs, output, axis=3),
        weights=weights,
        bias=bias,
    )


def _fully_connected(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> FullyConnectedCall:
    weights, bias = _weights(op, inputs)
    in_scale, zero_point = quant_of(op, inputs[0])
    units, depth = inputs[1].shape
    check_sums(op, np.frombuffer(weights, np.int8).reshape(units, depth), bias, zero_point)
    quant = inputs[1].quant
    assert quant is not None
    assert isinstance(op.payload, ir.FullyConnected)
    if len(quant.scales) > 1:
        requantize = _channel_requantize(op, op.payload.activation, inputs, output, axis=0)
    else:
        out_scale, out_zero = quant_of(op, output)
        # In double throughout, as the interpreter does: a product rounded to float32 is off by one in 100,000 outputs.
        factor = in_scale * quant.scales[0] / out_scale
        requantize = _requantize([factor_of(op, factor)], out_zero, clamp_of(op, op.payload.activation, output))
    return FullyConnectedCall(
        batches=inputs[0].elements // depth,
        in_features=depth,
        out_features=units,
        input_offset=-zero_point,
        requantize=requantize,
        weights=weights,
        bias=bias,
    )


def _transpose_conv(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> TransposeConvCall:
    assert isinstance(op.payload, ir.TransposeConv)
    weights, bias = _weights(op, inputs)
    _, zero_point = quant_of(op, inputs[0])
    filters, height, width, _ = inputs[1].shape
    check_sums(op, np.frombuffer(weights, np.int8).reshape(filters, -1), bias, zero_point)
    slides = ir.Pool("max", (height, width), op.payload.stride, op.payload.padding, "NONE")
    return TransposeConvCall(
        input=image_of(inputs[0]),
        output=image_of(output),
        window=window_of(slides, image_of(output), (height, width)),
        input_offset=-zero_point,
        requantize=_channel_requantize(op, op.payload.activation, inputs, output, axis=0),
        weights=weights,
        bias=bias,
    )


LOWERINGS: dict[type, Lowering] = {
    ir.Conv2D: _conv,
    ir.DepthwiseConv2D: _depthwise,
    ir.FullyConnected: _fully_connected,
    ir.TransposeConv: _transpose_conv,
}
