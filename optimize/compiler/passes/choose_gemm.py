"""When a convolution or fully connected layer goes to the packed matrix product of the DSP extension."""

from __future__ import annotations

import numpy as np

from optimize.compiler.dsp_packing import Array, pack_once, pack_twice, pack_wide, run_order
from optimize.compiler.kernels import ConvCall, FullyConnectedCall, Kernel, Window
from optimize.compiler.kernels_dsp import DspConvCall, DspFullyConnectedCall, DspPointwiseCall, Gemm


def choose_conv(call: ConvCall) -> Kernel | None:
    """The packed form of a convolution without groups, as the simplest of three kernels that takes its shape."""
    if call.group_channels != call.input.channels:
        return None
    if _covers_input(call):
        return _as_fully_connected(call)
    if _keeps_pixels(call):
        return _as_pointwise(call)
    return _as_panels(call)


def _covers_input(call: ConvCall) -> bool:
    """Whether there is one output pixel, which sees each input once and nothing else."""
    return (
        (call.output.height, call.output.width) == (1, 1)
        and call.window.size == (call.input.height, call.input.width)
        and call.window.pad == (0, 0)
        and (call.window.dilation[0] == 1 or call.window.size[0] == 1)
        and (call.window.dilation[1] == 1 or call.window.size[1] == 1)
    )


def _keeps_pixels(call: ConvCall) -> bool:
    """Whether each output pixel sees the input pixel in its place; padding below or to the right makes more outputs."""
    point = Window((1, 1), (1, 1), call.window.dilation, (0, 0))
    same_size = (call.output.height, call.output.width) == (call.input.height, call.input.width)
    return call.window == point and same_size


def _as_fully_connected(call: ConvCall) -> Kernel:
    features = call.input.height * call.input.width * call.input.channels
    return choose_fully_connected(
        FullyConnectedCall(
            batches=call.input.batches,
            in_features=features,
            out_features=call.output.channels,
            input_offset=call.input_offset,
            requantize=call.requantize,
            weights=call.weights,
            bias=call.bias,
        )
    )


def _as_pointwise(call: ConvCall) -> Kernel:
    channels = call.input.channels
    gemm = _packed(call, run_order(channels))
    pixels = call.input.batches * call.input.height * call.input.width
    return DspPointwiseCall(pixels, channels, call.output.channels, gemm)


def _as_panels(call: ConvCall) -> Kernel:
    height, width = call.window.size
    dense = call.window.dilation[1] == 1 or width == 1
    run = width * call.input.channels if dense else call.input.channels
    runs = height * width * call.input.channels // run
    within = run_order(run)
    order = [start * run + place if place >= 0 else -1 for start in range(runs) for place in within]
    return DspConvCall(
        input=call.input,
        output=call.output,
        window=call.window,
        run_bytes=run,
        runs_per_row=1 if dense else width,
        input_zero=-call.input_offset,
        gemm=_packed(call, order),
    )


def choose_fully_connected(call: FullyConnectedCall) -> Kernel:
    """The packed form of a fully connected layer; inputs are filled up to whole quads."""
    filled = -(-call.in_features // 4) * 4
    order = [place if place < call.in_features else -1 for place in run_order(filled)]
    gemm = pack_twice(_matrix(call), call.bias, call.input_offset, call.requantize, order)
    if gemm is None:
        wide = _packed(call, run_order(call.in_features))
        return DspPointwiseCall(call.batches, call.in_features, call.out_features, wide)
    return DspFullyConnectedCall(call.batches, call.in_features, call.out_features, gemm)


def _packed(call: ConvCall | FullyConnectedCall, order: list[int]) -> Gemm:
    """The weights for the fastest product that is exact."""
    arguments = (_matrix(call), call.bias, call.input_offset, call.requantize, order)
    return pack_once(*arguments) or pack_twice(*arguments) or pack_wide(*arguments)


def _matrix(call: ConvCall | FullyConnectedCall) -> Array:
    """Weights as [output channel][input]."""
    channels = call.output.channels if isinstance(call, ConvCall) else call.out_features
    return np.frombuffer(call.weights, np.int8).reshape(channels, -1).astype(np.int64)
