"""Constants of the 3x3 depthwise kernel of the DSP extension: ``firmware/include/flota/nn_dsp_depthwise.h``."""

from __future__ import annotations

from typing import Any

import numpy as np

from optimize.compiler.exact_scaling import Factor, find_scaling
from optimize.compiler.kernels import DepthwiseCall
from optimize.compiler.kernels_dsp_depthwise import Channel3

Array = np.ndarray[Any, np.dtype[np.int64]]


def pack_channels(call: DepthwiseCall, *, transposed: bool) -> tuple[Channel3, ...] | None:
    """The channels of a 3x3 convolution, or None where one has no exact scaling.

    ``transposed``: the kernel's rows are the image's columns.
    """
    weights = np.frombuffer(call.weights, np.int8).astype(np.int64).reshape(3, 3, -1)
    if transposed:
        weights = weights.transpose(1, 0, 2)
    biases = weights.sum(axis=(0, 1)) * call.input_offset
    if call.bias is not None:
        biases = biases + np.array(call.bias, np.int64)
    channels = []
    for index in range(call.output.channels):
        channel = _channel(call, weights[:, :, index], int(biases[index]), index)
        if channel is None:
            return None
        channels.append(channel)
    return tuple(channels)


def _channel(call: DepthwiseCall, weights: Array, bias: int, index: int) -> Channel3 | None:
    low, high = sum_range(weights)
    multiplier, shift = call.requantize.of(index)
    scaling = find_scaling(low, high, bias, Factor(multiplier, shift, call.requantize.offset, call.requantize.clamp))
    if scaling is None:
        return None
    columns = np.zeros_like(weights) if scaling.constant else weights
    first, second, third = (_word(columns[:, x]) for x in range(3))
    return Channel3((first, second, third), scaling.bias, scaling.multiplier)


def sum_range(weights: Array) -> tuple[int, int]:
    """Least and greatest sum of products with inputs in -128..127."""
    positive, negative = int(np.maximum(weights, 0).sum()), int(np.minimum(weights, 0).sum())
    return 127 * negative - 128 * positive, 127 * positive - 128 * negative


def _word(column: Array) -> int:
    """The weights w0, w1, w2 of a column as the bytes w1, w0, w2, w1."""
    w0, w1, w2 = (int(weight) & 0xFF for weight in column)
    return w1 | w0 << 8 | w2 << 16 | w1 << 24
