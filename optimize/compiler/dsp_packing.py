"""Weights, biases and factors in the form that ``firmware/src/nn/dsp/gemm.S`` multiplies; None where that is impossible.

Two channels share a halfword, 256 * w1 + w0 (see gemm.h). That is exact when every such value fits a halfword and the
sum of the odd channel stays under 2**23, which is proven here for every possible input.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optimize.compiler.kernels import Requantize
from optimize.compiler.kernels_dsp import ChannelGroup, Gemm

Array = np.ndarray[Any, np.dtype[np.int64]]

GROUP = 4
EVEN_LIMIT, ODD_LIMIT = 1 << 30, 1 << 23
"""Bounds of the sums of even and odd channels: what doubling, and multiplying by 256, leaves of 32 bits."""

LEAST_SHIFT, MOST_SHIFT = 1, 23
"""Right shifts the kernel takes; it rounds with (2 * zero point + 1) << (shift - 1) in 32 bits."""


def run_order(length: int) -> list[int]:
    """Positions within a run of ``length`` inputs in the order of its pairs, -1 for nothing; see panel.h."""
    quads = length // 4 * 4
    order = [base + place for base in range(0, quads, 4) for place in (0, 2, 1, 3)]
    rest = list(range(quads, length))
    return order + rest + [-1] * (len(rest) % 2)


def pack_gemm(
    weights: Array, bias: tuple[int, ...] | None, input_offset: int, requantize: Requantize, order: list[int]
) -> Gemm | None:
    """Pack ``weights`` [channels][inputs]; ``order`` gives the inputs in the order of the kernel's pairs.

    ``input_offset`` is minus the input's zero point; it goes into the biases.
    """
    channels = len(weights)
    padded = np.zeros((-(-channels // GROUP) * GROUP, weights.shape[1] + 1), np.int64)
    padded[:channels, :-1] = weights
    biases = np.zeros(len(padded), np.int64)
    biases[:channels] = weights.sum(axis=1) * input_offset + (0 if bias is None else np.array(bias, np.int64))
    low, high = _sum_range(padded, biases)
    factors = _factors(requantize, channels, padded, biases, low, high)
    words = _packed_words(padded[:, order])
    if factors is None or words is None or not _sums_fit(low, high):
        return None
    groups = tuple(
        ChannelGroup(_group_bias(biases[i : i + GROUP]), *(_four(row[i : i + GROUP]) for row in factors))
        for i in range(0, len(padded), GROUP)
    )
    return Gemm(words, groups, channels, len(order) // 2, requantize.offset, requantize.clamp)


def _sum_range(weights: Array, biases: Array) -> tuple[Array, Array]:
    """Least and greatest sum of each channel over all inputs in -128..127."""
    positive, negative = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    return biases - 128 * positive + 127 * negative, biases + 127 * positive - 128 * negative


def _sums_fit(low: Array, high: Array) -> bool:
    reach = np.maximum(np.abs(low), np.abs(high))
    return bool((reach[0::2] < EVEN_LIMIT).all() and (reach[1::2] < ODD_LIMIT).all())


def _factors(
    requantize: Requantize, channels: int, weights: Array, biases: Array, low: Array, high: Array
) -> tuple[list[int], list[int]] | None:
    """(multipliers, shifts - 1) of all channels. Clears ``weights`` and ``biases`` of a channel that is always zero."""
    step = int(len(requantize.multipliers) > 1)
    multipliers, shifts = [1 << 30] * len(weights), [0] * len(weights)
    for channel in range(channels):
        multiplier, right = requantize.multipliers[channel * step], -requantize.shifts[channel * step]
        if multiplier == 0 or max(abs(low[channel]), abs(high[channel])) < 1 << (right - 1 if right > 0 else 0):
            # The factor is below 2**-right, so every sum rounds to zero.
            weights[channel], biases[channel], low[channel], high[channel] = 0, 0, 0, 0
        elif multiplier < 1 << 30 or not LEAST_SHIFT <= right <= MOST_SHIFT:
            return None
        else:
            multipliers[channel], shifts[channel] = multiplier, right - 1
    return multipliers, shifts


def _packed_words(ordered: Array) -> bytes | None:
    """[group][pair][channels 0 and 1, channels 2 and 3], a word being two packed halfwords."""
    pairs = ordered.reshape(-1, 2, 2, ordered.shape[1] // 2, 2)  # group, half, channel of the half, pair, lane
    lanes = 256 * pairs[:, :, 1] + pairs[:, :, 0]
    if int(lanes.min()) < -(1 << 15):
        return None
    words = (lanes[..., 0] & 0xFFFF) | (lanes[..., 1] & 0xFFFF) << 16
    return words.transpose(0, 2, 1).astype("<u4").tobytes()


def _group_bias(bias: Array) -> tuple[int, int, int, int]:
    mixed = (bias[0], 256 * bias[1] + bias[0], bias[2], 256 * bias[3] + bias[2])
    return _four([(int(value) + (1 << 31)) % (1 << 32) - (1 << 31) for value in mixed])


def _four(values: Any) -> tuple[int, int, int, int]:
    a, b, c, d = (int(value) for value in values)
    return a, b, c, d
