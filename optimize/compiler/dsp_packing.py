"""Weights, biases and factors in the forms that the matrix products of ``firmware/src/nn/dsp/gemm.h`` take.

The fast ones share a halfword between two channels, 256 * w1 + w0. That is exact when every such value fits a halfword
and the sum of the odd channel stays under 2**23, which is proven here for every possible input. Of these, the fastest
rounds once, where a multiplier and a bias have been found that give the bytes of the interpreter's two roundings. The
wide one takes the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from optimize.compiler.exact_scaling import MOST_CHANNELS, SUM_BITS, Factor, Scaling, find_scaling
from optimize.compiler.fixed_point import multiply, wrap32
from optimize.compiler.kernels import Requantize
from optimize.compiler.kernels_dsp import Four, Gemm, Product

Array = np.ndarray[Any, np.dtype[np.int64]]

GROUP = 4
EVEN_LIMIT, ODD_LIMIT = 1 << 30, 1 << 23
"""Bounds of the sums of even and odd channels: what doubling, and multiplying by 256, leaves of 32 bits."""

ONCE_SHIFT = 44
"""Bits the product that rounds once drops: 32 in SMMUL, 12 in the saturation."""

LEAST_SHIFT, MOST_SHIFT = 1, 23
"""Right shifts the kernel takes; it rounds with (2 * zero point + 1) << (shift - 1) in 32 bits."""

MOST_LEFT_SHIFT = 6
"""Left shifts that the product with results of 16 bits takes: the sums of odd channels then still fit."""


def run_order(length: int) -> list[int]:
    """Positions within a run of ``length`` inputs in the order of its pairs, -1 for nothing; see panel.h."""
    quads = length // 4 * 4
    order = [base + place for base in range(0, quads, 4) for place in (0, 2, 1, 3)]
    rest = list(range(quads, length))
    return order + rest + [-1] * (len(rest) % 2)


def pack_twice(
    weights: Array, bias: tuple[int, ...] | None, input_offset: int, requantize: Requantize, order: list[int]
) -> Gemm | None:
    """Pack ``weights`` [channels][inputs] for the fast product.

    ``order`` gives the inputs in the order of the kernel's pairs, -1 a zero. ``input_offset`` is minus the input's zero
    point; it goes into the biases. None where the product would not be exact: a factor or a sum is out of its range, or
    -128 meets a negative weight.
    """
    return _pack_rounded_twice("twice", weights, bias, input_offset, requantize, order)


def pack_s16(
    weights: Array, bias: tuple[int, ...] | None, input_offset: int, requantize: Requantize, order: list[int]
) -> Gemm | None:
    """The same for the product with results of 16 bits, which also takes factors of 1/2 and more."""
    return _pack_rounded_twice("s16", weights, bias, input_offset, requantize, order)


def _pack_rounded_twice(
    product: Product,
    weights: Array,
    bias: tuple[int, ...] | None,
    input_offset: int,
    requantize: Requantize,
    order: list[int],
) -> Gemm | None:
    padded, biases = _pad(weights, bias, input_offset)
    low, high = _sum_range(padded, biases)
    least_shift = -MOST_LEFT_SHIFT if product == "s16" else LEAST_SHIFT
    pairs = _factors(requantize, len(weights), padded, biases, low, high, least_shift)
    words = _packed_words(padded[:, order])
    if pairs is None or words is None or not _sums_fit(low, high, pairs):
        return None
    return Gemm(
        product=product,
        weights=words,
        biases=tuple(map(_packed_bias, _fours(biases.tolist()))),
        factors=_shared(pairs),
        channels=len(weights),
        pairs=len(order) // 2,
        output_zero=requantize.offset,
        clamp=requantize.clamp,
    )


def pack_once(
    weights: Array, bias: tuple[int, ...] | None, input_offset: int, requantize: Requantize, order: list[int]
) -> Gemm | None:
    """The same for the fast product that rounds once; None where there is no such rounding for some channel."""
    if len(weights) > MOST_CHANNELS:
        return None
    padded, biases = _pad(weights, bias, input_offset)
    low, high = _sum_range(padded, np.zeros_like(biases))
    scalings = []
    for channel, total in enumerate(biases.tolist()[: len(weights)]):
        factor = Factor(*requantize.of(channel), requantize.offset, requantize.clamp)
        scaling = find_scaling(int(low[channel]), int(high[channel]), total, factor, ONCE_SHIFT)
        if scaling is None:
            return None
        if scaling.constant:
            padded[channel] = 0
        scalings.append(scaling)
    words = _packed_words(padded[:, order])
    if words is None:
        return None
    scalings += scalings[:1] * (len(padded) - len(weights))
    fours = [scalings[i : i + GROUP] for i in range(0, len(padded), GROUP)]
    return Gemm(
        product="once",
        weights=words,
        biases=tuple(map(_once_bias, fours)),
        factors=tuple(tuple(scaling.multiplier for scaling in four) for four in fours),
        channels=len(weights),
        pairs=len(order) // 2,
        output_zero=requantize.offset,
        clamp=requantize.clamp,
    )


def _once_bias(four: list[Scaling]) -> Four:
    """All of an even channel's bias; an odd channel's, and what the even one puts into its sum."""
    even = [four[i].bias >> SUM_BITS for i in (0, 2)]
    return _four(map(wrap32, (four[0].bias, four[1].bias + even[0], four[2].bias, four[3].bias + even[1])))


def pack_wide(
    weights: Array, bias: tuple[int, ...] | None, input_offset: int, requantize: Requantize, order: list[int]
) -> Gemm:
    """The same for the wide product, which takes everything."""
    padded, biases = _pad(weights, bias, input_offset)
    order = order + [-1] * (-len(order) % 4)
    quads = padded[:, order].reshape(-1, GROUP, len(order) // 4, 4)[..., [0, 2, 1, 3]]  # group, channel, quad, byte
    # The kernel reads the byte as a signed left shift.
    pairs = [(multiplier, shift + 1) for multiplier, shift in map(requantize.of, range(len(weights)))]
    return Gemm(
        product="wide",
        weights=quads.transpose(0, 2, 1, 3).astype(np.int8).tobytes(),
        biases=tuple(_four(map(wrap32, four)) for four in _fours(biases.tolist())),
        factors=_shared(pairs),
        channels=len(weights),
        pairs=len(order) // 2,
        output_zero=requantize.offset,
        clamp=requantize.clamp,
    )


def _pad(weights: Array, bias: tuple[int, ...] | None, input_offset: int) -> tuple[Array, Array]:
    """Weights with whole groups of rows and a last column of zeros; biases with the zero point's part."""
    channels, rows = len(weights), -(-len(weights) // GROUP) * GROUP
    padded = np.zeros((rows, weights.shape[1] + 1), np.int64)
    padded[:channels, :-1] = weights
    biases = np.zeros(rows, np.int64)
    biases[:channels] = weights.sum(axis=1) * input_offset + (0 if bias is None else np.array(bias, np.int64))
    return padded, biases


def _sum_range(weights: Array, biases: Array) -> tuple[Array, Array]:
    """Least and greatest sum of each channel over all inputs in -128..127."""
    positive, negative = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    return biases - 128 * positive + 127 * negative, biases + 127 * positive - 128 * negative


def _sums_fit(low: Array, high: Array, pairs: list[tuple[int, int]]) -> bool:
    """``pairs``: (multiplier, right shift) of the channels; doubled and shifted to the left, sums have to fit too."""
    reach = np.maximum(np.abs(low), np.abs(high))
    if any(int(most) << max(-shift, 0) >= EVEN_LIMIT for most, (_, shift) in zip(reach, pairs, strict=False)):
        return False
    return bool((reach[0::2] < EVEN_LIMIT).all() and (reach[1::2] < ODD_LIMIT).all())


def _factors(
    requantize: Requantize,
    channels: int,
    weights: Array,
    biases: Array,
    low: Array,
    high: Array,
    least_shift: int,
) -> list[tuple[int, int]] | None:
    """(multiplier, right shift) of the channels; rewrites a channel that has one value for all inputs."""
    factors = []
    for channel in range(channels):
        multiplier, shift = requantize.of(channel)
        least, most = (_value(requantize, int(reach[channel]), multiplier, shift) for reach in (low, high))
        if shift <= 0 and least == most:
            # Half of half of 4 * (value - offset), whatever the inputs are.
            weights[channel], multiplier, shift = 0, 1 << 30, -1
            biases[channel] = low[channel] = high[channel] = 4 * (least - requantize.offset)
        elif multiplier < 1 << 30 or not least_shift <= -shift <= MOST_SHIFT:
            return None
        factors.append((multiplier, -shift))
    return factors


def _value(requantize: Requantize, total: int, multiplier: int, shift: int) -> int:
    """The stored output for a sum."""
    least, most = requantize.clamp
    return min(max(requantize.offset + multiply(total, multiplier, shift), least), most)


def _packed_words(ordered: Array) -> bytes | None:
    """[group][pair][channels 0 and 1, channels 2 and 3], a word being two packed halfwords."""
    pairs = ordered.reshape(-1, 2, 2, ordered.shape[1] // 2, 2)  # group, half, channel of the half, pair, lane
    lanes = 256 * pairs[:, :, 1] + pairs[:, :, 0]
    if int(lanes.min()) < -(1 << 15):
        return None
    words = (lanes[..., 0] & 0xFFFF) | (lanes[..., 1] & 0xFFFF) << 16
    return words.transpose(0, 2, 1).astype("<u4").tobytes()


def _packed_bias(bias: Four) -> Four:
    mixed = (bias[0], 256 * bias[1] + bias[0], bias[2], 256 * bias[3] + bias[2])
    return _four(map(wrap32, mixed))


def _shared(pairs: list[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """(multiplier, shift) of the channels as words: four multipliers, then four bytes of shifts less one.

    One for all groups where these agree. What fills the last group is the first channel's.
    """
    filled = pairs + pairs[:1] * (-len(pairs) % GROUP)
    fours = [filled[i : i + GROUP] for i in range(0, len(filled), GROUP)]
    factors = tuple((*(multiplier for multiplier, _ in four), _shift_word(four)) for four in fours)
    return factors[:1] if len(set(factors)) == 1 else factors


def _shift_word(four: list[tuple[int, int]]) -> int:
    return int.from_bytes(bytes((shift - 1) % 256 for _, shift in four), "little", signed=True)


def _fours(values: list[int]) -> list[Four]:
    return [_four(values[i : i + GROUP]) for i in range(0, len(values), GROUP)]


def _four(values: Iterable[int]) -> Four:
    a, b, c, d = values
    return a, b, c, d
