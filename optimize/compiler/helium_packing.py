"""Weights, biases and factors in the form that ``firmware/src/nn/helium`` loads them.

The input's zero point is folded into the biases: sum(w * (x - zero)) + bias = sum(w * x) + (bias - zero * sum(w)). Every
partial sum of the left side fits 32 bits (proven when the call was made); the right side is the same modulo 2**32, which
is all that 32-bit accumulators know, so it ends at the same value.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optimize.compiler.fixed_point import wrap32
from optimize.compiler.kernels import Requantize
from optimize.compiler.kernels_helium import BLOCK, HeliumGemm, HeliumRequantize

Array = np.ndarray[Any, np.dtype[np.int64]]

LANES = 4
"""int32 values in a vector."""


def pack_gemm(
    weights: Array, bias: tuple[int, ...] | None, input_zero: int, requantize: Requantize, *, together: int
) -> HeliumGemm:
    """Pack ``weights`` [channels][inputs] for a kernel that sums ``together`` channels at a time."""
    channels, inputs = weights.shape
    groups, blocks = -(-channels // together), -(-inputs // BLOCK)
    padded = np.zeros((groups * together, blocks * BLOCK), np.int8)
    padded[:channels, :inputs] = weights
    packed = padded.reshape(groups, together, blocks, BLOCK).transpose(0, 2, 1, 3)
    biases = folded_biases(weights, bias, input_zero)
    return HeliumGemm(channels, blocks, packed.tobytes(), pack_requantize(biases, requantize))


def folded_biases(weights: Array, bias: tuple[int, ...] | None, input_zero: int) -> Array:
    """Biases of ``weights`` [channels][inputs] for inputs from which no zero point is taken, modulo 2**32."""
    given = np.zeros(len(weights), np.int64) if bias is None else np.array(bias, np.int64)
    return given - input_zero * weights.astype(np.int64).sum(axis=1)


def pack_requantize(biases: Array, requantize: Requantize) -> HeliumRequantize:
    """Per-channel values for every channel, even where one stands for all, padded to whole vectors."""
    channels = len(biases)
    repeats = channels // len(requantize.shifts)
    padding = -channels % LANES
    return HeliumRequantize(
        biases=(*(wrap32(int(value)) for value in biases), *(0,) * padding),
        multipliers=(*requantize.multipliers * repeats, *(0,) * padding),
        shifts=(*requantize.shifts * repeats, *requantize.shifts[-1:] * padding),
        offset=requantize.offset,
        clamp=requantize.clamp,
    )
