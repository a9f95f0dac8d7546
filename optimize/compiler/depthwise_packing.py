"""Constants of the depthwise kernels of the DSP extension: ``firmware/include/flota/nn_dsp_depthwise.h``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from optimize.compiler.exact_scaling import SUM_BITS, Factor, Scaling, find_scaling
from optimize.compiler.kernels import DepthwiseCall
from optimize.compiler.kernels_dsp_depthwise import Channel3, DspDepthwiseCall, Exact3

Array = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class PlaneConstants:
    """Those of the kernel for large windows; see DspDepthwisePlaneCall."""

    weights: bytes
    biases: tuple[int, ...]
    multipliers: tuple[int, ...]
    shifts: tuple[int, ...] | None


LEAST_SHIFT, MOST_SHIFT = 1, 23
"""Right shifts of a channel that is rounded twice; rounding and zero point are added in 32 bits before the shift."""

SUM_LIMIT = 1 << 30
"""Bound of its sums, which are doubled."""

PATIENCE = 32
"""Channels without one multiplication, and as many for each that has one, after which a layer is not searched on: a
layer without an activation that cuts off negative results has hardly any, and finding that out takes 5 ms a channel.
Channels of one value have one in any layer and count nothing."""


def pack_channels(call: DepthwiseCall, *, transposed: bool) -> tuple[tuple[Channel3, ...], tuple[Exact3, ...]] | None:
    """The channels of a 3x3 convolution, or None where the kernel cannot be exact.

    ``transposed``: the kernel's rows are the image's columns.
    """
    weights = np.frombuffer(call.weights, np.int8).astype(np.int64).reshape(3, 3, -1)
    if transposed:
        weights = weights.transpose(1, 0, 2)
    biases = weights.sum(axis=(0, 1)) * call.input_offset
    if call.bias is not None:
        biases = biases + np.array(call.bias, np.int64)
    channels: list[Channel3] = []
    exact: list[Exact3] = []
    for index, scaling in enumerate(_scalings(call, weights.transpose(2, 0, 1), biases)):
        kernel = weights[:, :, index]
        if scaling is not None:
            words = _words(np.zeros_like(kernel) if scaling.constant else kernel)
            channels.append(Channel3(words, scaling.bias, scaling.multiplier))
            continue
        twice = _exact(kernel, int(biases[index]), call.requantize.of(index))
        if twice is None:
            return None
        channels.append(Channel3(_words(kernel), len(exact), 0))
        exact.append(twice)
    return tuple(channels), tuple(exact)


def _scalings(call: DepthwiseCall, weights: Array, biases: Array) -> Iterator[Scaling | None]:
    """The one multiplication of each channel, for sums of stored inputs. ``weights``: [channel][…]."""
    found = missed = 0
    for index, (kernel, bias) in enumerate(zip(weights, biases.tolist(), strict=True)):
        scaling = None
        if missed < PATIENCE * (1 + found):
            factor = Factor(*call.requantize.of(index), call.requantize.offset, call.requantize.clamp)
            scaling = find_scaling(*sum_range(kernel), bias, factor)
            missed += scaling is None
            found += scaling is not None and not scaling.constant
        yield scaling


def pack_plane(call: DepthwiseCall, *, transposed: bool) -> PlaneConstants | None:
    """Weights [channel][column][row], and biases, multipliers and shifts, or None where the kernel cannot be exact.

    A column has an odd number of rows, the last may be zero. ``transposed``: the kernel's rows are the image's columns.
    """
    weights = np.frombuffer(call.weights, np.int8).astype(np.int64).reshape(*call.window.size, -1)
    packed = weights.transpose((2, 0, 1) if transposed else (2, 1, 0)).copy()
    biases = packed.sum(axis=(1, 2)) * call.input_offset
    if call.bias is not None:
        biases = biases + np.array(call.bias, np.int64)
    factors: list[tuple[int, int, int]] = []
    for index, scaling in enumerate(_scalings(call, packed, biases)):
        found = _plane_factors(scaling, packed[index], int(biases[index]), call.requantize.of(index))
        if found is None:
            return None
        factors.append(found)
    odd = np.pad(packed, ((0, 0), (0, 0), (0, 1 - packed.shape[2] % 2)))
    bias, multipliers, shifts = zip(*factors, strict=True)
    return PlaneConstants(odd.astype(np.int8).tobytes(), bias, multipliers, shifts if any(shifts) else None)


def _plane_factors(
    scaling: Scaling | None, weights: Array, bias: int, factors: tuple[int, int]
) -> tuple[int, int, int] | None:
    """(bias, multiplier, shift) of a channel; the shift is 0 with one multiplication. Zeroes weights without effect."""
    if scaling is not None:
        weights[:] = 0 if scaling.constant else weights
        return scaling.bias, scaling.multiplier, 0
    twice = _exact(weights, bias, factors)
    return None if twice is None else (twice.bias, twice.multiplier, twice.shift)


def _exact(weights: Array, bias: int, factors: tuple[int, int]) -> Exact3 | None:
    """The channel with both roundings."""
    multiplier, shift = factors
    low, high = sum_range(weights)
    fits = max(abs(low + bias), abs(high + bias)) < SUM_LIMIT
    if multiplier < 1 << 30 or not LEAST_SHIFT <= -shift <= MOST_SHIFT or not fits:
        return None
    return Exact3(bias, multiplier, -shift)


def sum_range(weights: Array) -> tuple[int, int]:
    """Least and greatest sum of products with inputs in -128..127."""
    positive, negative = int(np.maximum(weights, 0).sum()), int(np.minimum(weights, 0).sum())
    return 127 * negative - 128 * positive, 127 * positive - 128 * negative


def pack_any(call: DepthwiseCall) -> DspDepthwiseCall | None:
    """The general kernel, with one multiplication where that is exact for all channels, else with both roundings."""
    weights = np.frombuffer(call.weights, np.int8).astype(np.int64).reshape(-1, call.output.channels)
    bias = np.zeros(call.output.channels, np.int64) if call.bias is None else np.array(call.bias, np.int64)
    return _any_scaled(call, weights.copy(), bias) or _any_exact(call, weights, bias)


def _any_scaled(call: DepthwiseCall, weights: Array, bias: Array) -> DspDepthwiseCall | None:
    biases, multipliers = [], []
    for index in range(call.output.channels):
        folded = int(bias[index]) + int(weights[:, index].sum()) * call.input_offset
        factor = Factor(*call.requantize.of(index), call.requantize.offset, call.requantize.clamp)
        scaling = find_scaling(*sum_range(weights[:, index]), folded, factor)
        if scaling is None:
            return None
        if scaling.constant:
            weights[:, index] = 0
        # The kernel's sums are of centred inputs, so that it can leave out what lies outside the image.
        biases.append(scaling.bias - (int(weights[:, index].sum()) * call.input_offset << SUM_BITS))
        multipliers.append(scaling.multiplier)
    if max(map(abs, biases)) >= 1 << 31:
        return None
    return DspDepthwiseCall(call, weights.astype(np.int8).tobytes(), tuple(biases), tuple(multipliers), None)


def _any_exact(call: DepthwiseCall, weights: Array, bias: Array) -> DspDepthwiseCall | None:
    factors = [call.requantize.of(index) for index in range(call.output.channels)]
    for index, pair in enumerate(factors):
        folded = int(bias[index]) + int(weights[:, index].sum()) * call.input_offset
        if _exact(weights[:, index], folded, pair) is None:
            return None
    multipliers, shifts = zip(*factors, strict=True)
    return DspDepthwiseCall(call, call.weights, tuple(map(int, bias)), multipliers, tuple(-shift for shift in shifts))


def _words(weights: Array) -> tuple[int, int, int]:
    first, second, third = (_word(weights[:, x]) for x in range(3))
    return first, second, third


def _word(column: Array) -> int:
    """The weights w0, w1, w2 of a column as the bytes w1, w0, w2."""
    w0, w1, w2 = (int(weight) & 0xFF for weight in column)
    return w1 | w0 << 8 | w2 << 16
