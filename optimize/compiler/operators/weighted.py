"""Readers of the operators with weights: convolutions and fully connected layers."""

from __future__ import annotations

from optimize.compiler import schema
from optimize.compiler.ir import Conv2D, DepthwiseConv2D, FullyConnected, TransposeConv
from optimize.compiler.operators.context import Context, Rule, read_activation, read_padding, read_pair
from optimize.errors import UnsupportedOperator


def _conv(context: Context) -> Conv2D:
    options, field = context.required(), schema.Conv2DOptions
    return Conv2D(
        stride=read_pair(context, "stride", options.i32(field.STRIDE_H), options.i32(field.STRIDE_W)),
        dilation=read_pair(
            context, "dilation", options.i32(field.DILATION_H_FACTOR, 1), options.i32(field.DILATION_W_FACTOR, 1)
        ),
        padding=read_padding(context, options.i8(field.PADDING)),
        activation=read_activation(context, options.i8(field.FUSED_ACTIVATION_FUNCTION)),
    )


def _depthwise(context: Context) -> DepthwiseConv2D:
    options, field = context.required(), schema.DepthwiseConv2DOptions
    _check_multiplier(context, options.i32(field.DEPTH_MULTIPLIER))
    return DepthwiseConv2D(
        stride=read_pair(context, "stride", options.i32(field.STRIDE_H), options.i32(field.STRIDE_W)),
        dilation=read_pair(
            context, "dilation", options.i32(field.DILATION_H_FACTOR, 1), options.i32(field.DILATION_W_FACTOR, 1)
        ),
        padding=read_padding(context, options.i8(field.PADDING)),
        activation=read_activation(context, options.i8(field.FUSED_ACTIVATION_FUNCTION)),
    )


def _check_multiplier(context: Context, multiplier: int) -> None:
    """The interpreter goes by the options where LiteRT goes by the shapes, so these must agree."""
    source, weights = (tensor.shape for tensor in context.inputs[:2])
    if source and weights and weights[-1] != multiplier * source[-1]:
        raise context.invalid(f"a depth multiplier of {multiplier} for {source[-1]} channels, {weights[-1]} filters")


def _fully_connected(context: Context) -> FullyConnected:
    options, field = context.required(), schema.FullyConnectedOptions
    if options.i8(field.WEIGHTS_FORMAT) != 0:
        raise UnsupportedOperator(f"{context.label}: shuffled weights", hint="export with the default weights format")
    activation = read_activation(context, options.i8(field.FUSED_ACTIVATION_FUNCTION))
    return FullyConnected(activation, options.flag(field.KEEP_NUM_DIMS))


def _transpose_conv(context: Context) -> TransposeConv:
    """The first operand, the output's shape, is what the output tensor says already."""
    options, field = context.required(), schema.TransposeConvOptions
    if context.outputs[0].open_shape:
        context.expect(context.constant(0, "the output's shape"))
    return TransposeConv(
        stride=read_pair(context, "stride", options.i32(field.STRIDE_H), options.i32(field.STRIDE_W)),
        padding=read_padding(context, options.i8(field.PADDING)),
        activation=read_activation(context, options.i8(field.FUSED_ACTIVATION_FUNCTION)),
    )


RULES: dict[str, Rule] = {
    "CONV_2D": Rule(_conv, range(2, 4), options_type=1),
    "DEPTHWISE_CONV_2D": Rule(_depthwise, range(2, 4), options_type=2),
    "FULLY_CONNECTED": Rule(_fully_connected, range(2, 4), options_type=8),
    "TRANSPOSE_CONV": Rule(_transpose_conv, range(3, 5), options_type=49, runtime_inputs=(2, 1, 3)),
}
