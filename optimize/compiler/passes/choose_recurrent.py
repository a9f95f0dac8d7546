"""When a layer with state of its own, or a product of two tensors, goes to the kernels of the DSP extension."""

from __future__ import annotations

import numpy as np

from optimize.compiler.dsp_packing import EVEN_LIMIT, LEAST_SHIFT, MOST_SHIFT, Array, pack_s16, pack_wide, run_order
from optimize.compiler.fixed_point import wrap32
from optimize.compiler.kernels import Kernel, Requantize
from optimize.compiler.kernels_dsp import Gemm
from optimize.compiler.kernels_dsp_recurrent import DspBatchMatMulCall, DspLstmCall, DspSvdfCall
from optimize.compiler.kernels_recurrent import INT16, BatchMatMulCall, Factor, LstmCall, SvdfCall


def choose_lstm(call: LstmCall) -> Kernel | None:
    """The packed form, where products of two int16 are rounded in 32 bits."""
    if not all(map(_is_product, (call.forget, call.update, call.output))):
        return None
    seen = _gates([gate.input_weights for gate in call.gates], call.units)
    recalled = _gates([gate.recurrent_weights for gate in call.gates], call.units)
    bias = np.array([gate.bias for gate in call.gates]).T.ravel().tolist()
    by_input = _packed(seen, bias, call.input_offset, [gate.input_factor for gate in call.gates] * call.units)
    by_hidden = _packed(recalled, None, call.hidden_offset, [gate.recurrent_factor for gate in call.gates] * call.units)
    return DspLstmCall(call, by_input, by_hidden)


def choose_svdf(call: SvdfCall) -> Kernel | None:
    """The packed form; a state of 16 bits must have zero point 0."""
    if call.state_type == "int16" and call.state_zero_point != 0:
        return None
    weights = np.frombuffer(call.feature_weights, np.int8).astype(np.int64).reshape(call.filters, -1)
    features = _packed(weights, None, call.input_offset, [call.feature_factor] * call.filters)
    biases, reach = _over_time(call)
    return DspSvdfCall(call, features, biases, _is_product(call.factor) and reach < EVEN_LIMIT)


def _over_time(call: SvdfCall) -> tuple[tuple[int, ...], int]:
    """Biases of the sums over time with the part of the state's zero point, and the bound of these sums.

    The biases are modulo 2**32, as the sums are.
    """
    units, dtype = call.filters // call.rank, np.dtype("<i2" if call.state_type == "int16" else np.int8)
    weights = np.frombuffer(call.time_weights, dtype).astype(np.int64).reshape(units, -1)
    biases = np.zeros(units, np.int64) if call.bias is None else np.array(call.bias, np.int64)
    biases = biases - weights.sum(axis=1) * call.state_zero_point
    reach = np.abs(biases) - int(np.iinfo(dtype).min) * np.abs(weights).sum(axis=1)
    return tuple(map(wrap32, biases.tolist())), int(reach.max())


def choose_batch_matmul(call: BatchMatMulCall) -> Kernel | None:
    """The packed form, where the rows of the left matrix lie in one piece."""
    if call.left_strides[1] != 1:
        return None
    reach = call.depth * (128 + abs(call.left_offset)) * (128 + abs(call.right_offset))
    return DspBatchMatMulCall(call, _is_product(call.factor) and reach < EVEN_LIMIT)


def _is_product(factor: Factor) -> bool:
    """Whether ``dsp_requantize`` takes it for sums under ``EVEN_LIMIT``."""
    multiplier, shift = factor
    return multiplier >= 1 << 30 and LEAST_SHIFT <= -shift <= MOST_SHIFT


def _gates(weights: list[bytes], units: int) -> Array:
    """Weights of the four gates as [unit and gate][input]."""
    stacked = np.stack([np.frombuffer(gate, np.int8).reshape(units, -1) for gate in weights], axis=1)
    return stacked.astype(np.int64).reshape(4 * units, -1)


def _packed(weights: Array, bias: list[int] | None, offset: int, factors: list[Factor]) -> Gemm:
    """The fastest exact product with results of 16 bits; inputs are filled up to whole quads."""
    inputs = weights.shape[1]
    order = [place if place < inputs else -1 for place in run_order(-(-inputs // 4) * 4)]
    multipliers, shifts = zip(*factors, strict=True)
    requantize = Requantize(multipliers, shifts, 0, INT16)
    arguments = (weights, None if bias is None else tuple(bias), offset, requantize, order)
    return pack_s16(*arguments) or pack_wide(*arguments)
