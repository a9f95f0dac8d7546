"""Weights, biases and factors in the form that ``firmware/src/nn/helium`` loads them.

The input's zero point is folded into the biases: sum(w * (x - zero)) + bias = sum(w * x) + (bias - zero * sum(w)). The
left side fits 32 bits (proven when the portable call was made); the right side is the same modulo 2**32, which is all
that 32-bit accumulators know, so it ends at the same value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optimize.compiler.fixed_point import wrap32
from optimize.compiler.kernels import Requantize
from optimize.compiler.kernels_helium import BLOCK, GROUP, HeliumGemm, HeliumRequantize

Array = np.ndarray[Any, np.dtype[np.int64]]

INT16_MAX = (1 << 15) - 1

GROUP_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""Eight channels as the kernels hold them: two vectors of int32 that narrow into one of int16, alternating."""


def pack_gemm(
    weights: Array, bias: tuple[int, ...] | None, input_zero: int, requantize: Requantize, *, together: int
) -> HeliumGemm:
    """Pack ``weights`` [channels][inputs] for a kernel that sums ``together`` channels at a time."""
    channels, inputs = weights.shape
    blocks = -(-inputs // BLOCK)
    order = channel_order(channels)
    padded = np.zeros((len(order), blocks * BLOCK), np.int8)
    padded[:channels, :inputs] = weights
    packed = padded[order].reshape(-1, together, blocks, BLOCK).transpose(0, 2, 1, 3)
    biases = folded_biases(weights, bias, input_zero)
    return HeliumGemm(channels, blocks, packed.tobytes(), pack_requantize(biases, requantize))


def pack_depthwise(weights: Array) -> bytes | None:
    """Pack ``weights`` [kh][kw][channels] in groups of eight channels; see flota_nn_helium_depthwise_t.

    None where two of the products that the kernel adds in 16 bits could leave them: inputs reach -128. Whichever way it
    pairs the taps of a window, no two weights of a channel are larger than its two largest.
    """
    height, width, channels = weights.shape
    groups = -(-channels // GROUP)
    padded = np.zeros((height * width, groups * GROUP), np.int64)
    padded[:, :channels] = weights.reshape(height * width, channels)
    largest = np.sort(np.abs(padded), axis=0)[-2:]
    if int(largest.sum(axis=0).max()) * 128 > INT16_MAX:
        return None
    return padded.reshape(height * width, groups, GROUP).transpose(1, 0, 2).astype(np.int8).tobytes()


def folded_biases(weights: Array, bias: tuple[int, ...] | None, input_zero: int) -> Array:
    """Biases of ``weights`` [channels][inputs] for inputs from which no zero point is taken, modulo 2**32."""
    given = np.zeros(len(weights), np.int64) if bias is None else np.array(bias, np.int64)
    sums: Array = weights.sum(axis=1)
    return given - input_zero * sums


def channel_order(channels: int) -> list[int]:
    """The channels in the order of the kernels' vectors, filled up to whole groups of eight."""
    return [base + lane for base in range(0, channels, GROUP) for lane in GROUP_ORDER]


def pack_requantize(biases: Array, requantize: Requantize) -> HeliumRequantize:
    """Per-channel values for every channel, even where one stands for all, in the order of the kernels' vectors."""
    channels = len(biases)
    repeats = channels // len(requantize.shifts)
    multipliers = requantize.multipliers * repeats
    # A dead channel's product is 0 whatever its shift; the kernels are fastest when all shifts are to the right.
    shifts = [shift if factor else -1 for factor, shift in zip(multipliers, requantize.shifts * repeats, strict=True)]
    return HeliumRequantize(
        biases=_ordered([wrap32(int(value)) for value in biases], 0),
        multipliers=_ordered(multipliers, 0),
        shifts=_ordered(shifts, shifts[0]),
        offset=requantize.offset,
        clamp=requantize.clamp,
    )


def _ordered(values: Sequence[int], filling: int) -> tuple[int, ...]:
    return tuple(values[i] if i < len(values) else filling for i in channel_order(len(values)))
