"""When a depthwise convolution goes to a kernel of the DSP extension."""

from __future__ import annotations

import numpy as np

from optimize.compiler.depthwise_packing import pack_any, pack_channels
from optimize.compiler.exact_scaling import MOST_CHANNELS
from optimize.compiler.kernels import ConvCall, DepthwiseCall, Kernel
from optimize.compiler.kernels_dsp_depthwise import TURNS, Axis, DspDepthwise3Call, planes_bytes
from optimize.compiler.passes.choose_gemm import choose_conv

LARGEST_PAD = 1
"""What the kernel has code for. More than 2 would let a band read rows that the band before has overwritten."""


SMALL_SCRATCH = 8192
"""Bytes of planes that any image may have; beyond, they may not outgrow the input."""

ABOUT_THE_SAME = 16
"""Estimates of cycles that differ by less than one part in so many are equal."""


def choose_conv_of_one_channel(call: DepthwiseCall) -> Kernel | None:
    """With one input channel it is a convolution, whose kernels share the inputs among the output channels."""
    if call.input.channels != 1 or call.output.channels == 1:
        return None
    weights = np.frombuffer(call.weights, np.int8).reshape(-1, call.output.channels)
    return choose_conv(
        ConvCall(
            input=call.input,
            output=call.output,
            window=call.window,
            group_channels=1,
            input_offset=call.input_offset,
            requantize=call.requantize,
            weights=weights.T.tobytes(),
            bias=call.bias,
        )
    )


def choose_depthwise(call: DepthwiseCall) -> Kernel | None:
    """The general kernel, where it is exact."""
    return pack_any(call) if call.output.channels <= MOST_CHANNELS else None


def choose_depthwise3(call: DepthwiseCall) -> Kernel | None:
    """The 3x3 kernel, where it takes the shape and is exact."""
    window = call.window
    if (
        window.size != (3, 3)
        or call.output.channels > MOST_CHANNELS
        or window.dilation != (1, 1)
        or window.stride not in ((1, 1), (2, 2))
        or call.input.channels != call.output.channels
        or max(window.pad) > LARGEST_PAD
    ):
        return None
    vertical, horizontal = axes_of(call)
    stride = window.stride[0]
    if any((axis.out_extent - 1) * stride - axis.pad >= axis.extent for axis in (vertical, horizontal)):
        return None  # a PAD fused into it makes windows that see nothing of the image
    transposed = _transposed(vertical, horizontal, stride)
    scratch = planes_bytes(vertical if transposed else horizontal, stride)
    packed = pack_channels(call, transposed=transposed)
    if packed is None or scratch > max(SMALL_SCRATCH, call.input.elements):
        return None
    return DspDepthwise3Call(
        input=call.input,
        output=call.output,
        rows=horizontal if transposed else vertical,
        columns=vertical if transposed else horizontal,
        stride=stride,
        input_zero=-call.input_offset,
        clamp=call.requantize.clamp,
        output_zero=call.requantize.offset,
        channels=packed[0],
        exact=packed[1],
    )


def axes_of(call: DepthwiseCall) -> tuple[Axis, Axis]:
    """The vertical and the horizontal axis of the image."""
    image, out = call.input, call.output
    return (
        Axis(
            image.height,
            out.height,
            image.width * image.channels,
            out.width * out.channels,
            call.window.pad[0],
        ),
        Axis(image.width, out.width, image.channels, out.channels, call.window.pad[1]),
    )


def _transposed(vertical: Axis, horizontal: Axis, stride: int) -> bool:
    """Whether the kernel's rows had better be the image's columns: it is faster, or as fast with less scratch."""
    upright, across = _cycles(vertical, horizontal, stride), _cycles(horizontal, vertical, stride)
    if abs(upright - across) * ABOUT_THE_SAME < upright:
        return planes_bytes(vertical, stride) < planes_bytes(horizontal, stride)
    return across < upright


def _cycles(rows: Axis, columns: Axis, stride: int) -> int:
    """Cycles of one channel, estimated: turns in pairs of rows, and what each column and band costs besides."""
    band = 2 * TURNS // stride
    total = 0
    for start in range(0, rows.out_extent, band):
        made = min(band, rows.out_extent - start)
        turns = made // 2 * 28 + made % 2 * 17 if stride == 1 else made * 16
        total += (
            30 + columns.out_extent * (turns + 21) + (columns.out_extent * stride + 2) * (5 * made * stride // 2 + 10)
        )
    return total
