"""When a convolution or fully connected layer goes to the packed matrix product of the DSP extension."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from optimize.compiler.dsp_packing import Array, pack_once, pack_twice, pack_wide, run_order
from optimize.compiler.kernels import ConvCall, FullyConnectedCall, Image, Kernel, Window
from optimize.compiler.kernels_dsp import (
    DspConvCall,
    DspConvPart,
    DspConvPartsCall,
    DspFullyConnectedCall,
    DspPointwiseCall,
    Gemm,
)
from optimize.compiler.kernels_image import TransposeConvCall

Weights = np.ndarray[Any, np.dtype[np.int8]]

LEAST_GROUP_INPUTS = 8
"""Inputs of one output in a group, from which gathering them group by group is worth it."""

MOST_DENSE_INPUTS = 128
"""Inputs of one output, up to which a convolution in groups of fewer inputs than that is faster as one with zeros for
the weights of other groups: the portable kernel takes about 180 instructions for an output, a packed product 1.1 for an
input."""

MAX_PARTS = 64
"""Convolutions one may become: groups, or phases of a transposed one, of strides up to 8x8. Each is code and
parameters; a small file may ask for thousands."""


def choose_conv(call: ConvCall) -> Kernel | None:
    """The packed form of a convolution, as the simplest of the kernels that takes its shape."""
    if call.group_channels != call.input.channels:
        return _as_groups(call)
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


def _as_groups(call: ConvCall) -> Kernel | None:
    """One convolution a group, or one with zeros between where groups are small; None where they are many besides."""
    depth, taps = call.group_channels, call.window.size[0] * call.window.size[1]
    groups = call.input.channels // depth
    if depth * taps < LEAST_GROUP_INPUTS:
        return choose_conv(_dense(call)) if call.input.channels * taps <= MOST_DENSE_INPUTS else None
    if groups > MAX_PARTS:
        return None
    filters = call.output.channels // groups
    row = call.output.width * call.output.channels
    whole = (call.output.channels, row, call.output.height * row)
    parts = []
    for group in range(groups):
        chosen = slice(group * filters, (group + 1) * filters)
        conv = _as_panels(
            replace(
                call,
                output=replace(call.output, channels=filters),
                requantize=call.requantize.part(chosen),
                weights=call.weights[chosen.start * depth * taps : chosen.stop * depth * taps],
                bias=None if call.bias is None else call.bias[chosen],
            )
        )
        parts.append(DspConvPart(group * depth, group * filters, replace(conv, output_steps=whole)))
    return DspConvPartsCall(tuple(parts))


def _dense(call: ConvCall) -> ConvCall:
    """The same convolution without groups: what a filter does not see has the weight 0."""
    channels, depth = call.input.channels, call.group_channels
    weights = np.frombuffer(call.weights, np.int8).reshape(call.output.channels, -1, depth)
    filters = call.output.channels * depth // channels
    whole = np.zeros((*weights.shape[:2], channels), np.int8)
    for start in range(0, channels, depth):
        seen = slice(start // depth * filters, (start // depth + 1) * filters)
        whole[seen, :, start : start + depth] = weights[seen]
    return replace(call, group_channels=channels, weights=whole.tobytes())


def _as_panels(call: ConvCall) -> DspConvCall:
    height, width = call.window.size
    dense = width == 1 or (call.window.dilation[1] == 1 and call.group_channels == call.input.channels)
    run = width * call.group_channels if dense else call.group_channels
    runs = height * width * call.group_channels // run
    within = run_order(run)
    order = [start * run + place if place >= 0 else -1 for start in range(runs) for place in within]
    row = call.output.width * call.output.channels
    return DspConvCall(
        input=call.input,
        output=call.output,
        window=call.window,
        output_steps=(call.output.channels, row, call.output.height * row),
        run_bytes=run,
        runs_per_row=1 if dense else width,
        input_zero=-call.input_offset,
        gemm=_packed(call, order),
    )


def choose_transpose_conv(call: TransposeConvCall) -> Kernel | None:
    """One convolution for each phase of the stride, where these are few."""
    if call.window.stride[0] * call.window.stride[1] > MAX_PARTS:
        return None
    shape = (call.output.channels, *call.window.size, call.input.channels)
    weights = np.frombuffer(call.weights, np.int8).reshape(shape)
    rows, columns = (_phases(call, axis) for axis in range(2))
    phases = tuple(_phase(call, weights, row, column) for row in rows for column in columns)
    return DspConvPartsCall(phases)


@dataclass(frozen=True, slots=True)
class _Phase:
    """Outputs ``start``, ``start + stride``… of one axis: ``count`` of them, which see ``taps``, ``pad`` in front."""

    start: int
    count: int
    taps: list[int]
    pad: int


def _phases(call: TransposeConvCall, axis: int) -> list[_Phase]:
    """Output o meets input (o + pad - tap) / stride where that is whole: of one phase every ``stride``-th tap."""
    stride, size, pad = call.window.stride[axis], call.window.size[axis], call.window.pad[axis]
    extent = (call.output.height, call.output.width)[axis]
    found = []
    for start in range(min(stride, extent)):
        first = (start + pad) % stride
        taps = list(range(first, size, stride))[::-1]
        ahead = (start + pad - first) // stride
        found.append(_Phase(start, -(-(extent - start) // stride), taps, len(taps) - 1 - ahead))
    return found


def _phase(call: TransposeConvCall, weights: np.ndarray[Any, Any], row: _Phase, column: _Phase) -> DspConvPart:
    """The convolution of one phase. A phase without taps has one of zeros: it gives the bias."""
    taps = weights[:, row.taps][:, :, column.taps]
    pads = (row.pad, column.pad)
    if not taps.size:
        taps, pads = np.zeros((len(weights), 1, 1, call.input.channels), np.int8), (0, 0)
    channels = call.output.channels
    conv = _as_panels(
        ConvCall(
            input=call.input,
            output=Image(call.output.batches, row.count, column.count, channels),
            window=Window((taps.shape[1], taps.shape[2]), (1, 1), (1, 1), pads),
            group_channels=call.input.channels,
            input_offset=call.input_offset,
            requantize=call.requantize,
            weights=np.ascontiguousarray(taps).tobytes(),
            bias=call.bias,
        )
    )
    (stride_y, stride_x), line = call.window.stride, call.output.width * channels
    steps = (stride_x * channels, stride_y * line, call.output.height * line)
    return DspConvPart(0, row.start * line + column.start * channels, replace(conv, output_steps=steps))


def choose_fully_connected(call: FullyConnectedCall) -> Kernel:
    """The packed form of a fully connected layer; inputs are filled up to whole quads."""
    filled = -(-call.in_features // 4) * 4
    order = [place if place < call.in_features else -1 for place in run_order(filled)]
    arguments = (_matrix(call), call.bias, call.input_offset, call.requantize, order)
    gemm = pack_twice(*arguments) or pack_wide(*arguments)
    return DspFullyConnectedCall(call.batches, call.in_features, call.out_features, gemm)


def _packed(call: ConvCall | FullyConnectedCall, order: list[int]) -> Gemm:
    """The weights for the fastest product that is exact."""
    arguments = (_matrix(call), call.bias, call.input_offset, call.requantize, order)
    return pack_once(*arguments) or pack_twice(*arguments) or pack_wide(*arguments)


def _matrix(call: ConvCall | FullyConnectedCall) -> Array:
    """Weights as [output channel][input]."""
    channels = call.output.channels if isinstance(call, ConvCall) else call.out_features
    return np.frombuffer(call.weights, np.int8).reshape(channels, -1).astype(np.int64)
