"""Lower every operator to the call of one C kernel, with all its parameters as integers.

Here real scales become multipliers and shifts exactly as the Prepare functions of the TensorFlow Lite Micro kernels
compute them (tensorflow/lite/micro/kernels/*_common.cc): some in double, some in float32, which changes last bits. The
kernel for an operator is chosen here too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from optimize.compiler import ir
from optimize.compiler.fixed_point import (
    INT32_MAX,
    float32,
    logistic_table,
    multiply,
    quantize_multiplier,
    round_half_away,
    softmax_scaling,
    tanh_table,
)
from optimize.compiler.geometry import contiguous_strides, conv_padding, merge_axes, merge_padded
from optimize.compiler.ir import Graph, Op, Tensor
from optimize.compiler.kernels import (
    MAX_RANK,
    ConcatCall,
    ConvCall,
    DepthwiseCall,
    DequantizeCall,
    ElementwiseCall,
    FullyConnectedCall,
    Image,
    KernelCall,
    LookupCall,
    MeanCall,
    PadCall,
    PoolCall,
    QuantizeCall,
    Requantize,
    SoftmaxCall,
    TransposeCall,
    Window,
)
from optimize.errors import InvalidModel, UnsupportedOperator

QUANT_HINT = "convert the model with full int8 quantization"
SCALE_HINT = "check the representative data set the model was quantized with"

SAME_SCALE_TOLERANCE = 1e-6
"""How far apart scales may be that the interpreter takes for equal where an operator keeps its input's scale."""


def lower(graph: Graph) -> Graph:
    """Replace each payload by a kernel call; weights and biases move into the call.

    Raises:
        InvalidModel: quantization parameters are missing or out of range.
        UnsupportedOperator: no kernel takes the operator's parameters.
    """
    return graph.with_ops(tuple(_lower_op(graph, op) for op in graph.ops))


def _lower_op(graph: Graph, op: Op) -> Op:
    inputs = tuple(_with_data(graph, index) for index in op.inputs)
    call = LOWERINGS[type(op.payload)](op, inputs, graph.tensors[op.outputs[0]])
    weighted = isinstance(call, ConvCall | DepthwiseCall | FullyConnectedCall)
    return replace(op, payload=call, inputs=op.inputs[:1] if weighted else op.inputs)


def _with_data(graph: Graph, index: int) -> Tensor:
    """A tensor with its own shape and the data of the constant it may be an alias of."""
    return replace(graph.tensors[index], data=graph.tensors[graph.storage(index)].data, alias_of=None)


def _quant(op: Op, tensor: Tensor) -> tuple[float, int]:
    """(scale, zero point) of a tensor that must be quantized as a whole."""
    if tensor.quant is None:
        raise InvalidModel(f"{op.label}: tensor {tensor.name} is not quantized", hint=QUANT_HINT)
    if len(tensor.quant.scales) != 1:
        raise InvalidModel(f"{op.label}: tensor {tensor.name} has a scale per channel", hint=QUANT_HINT)
    return tensor.quant.scales[0], tensor.quant.zero_points[0]


def _multiplier(op: Op, real: float) -> tuple[int, int]:
    if not math.isfinite(real) or real >= 2.0**30:
        raise InvalidModel(f"{op.label}: its scales give a factor of {real:g}", hint=SCALE_HINT)
    return quantize_multiplier(real)


def _small_multiplier(op: Op, real: float) -> tuple[int, int]:
    """A multiplier the interpreter only takes under 1."""
    if not 0.0 < real < 1.0:
        raise InvalidModel(f"{op.label}: its scales give a factor of {real:g}, it must be under 1", hint=SCALE_HINT)
    multiplier, shift = quantize_multiplier(real)
    if shift > 0:
        raise InvalidModel(f"{op.label}: its scales give a factor of {real!r}, too close to 1", hint=SCALE_HINT)
    return multiplier, shift


def _clamp(op: Op, activation: ir.Activation, output: Tensor) -> tuple[int, int]:
    """The int8 range a fused activation leaves; the bounds are rounded in float32 like the interpreter's."""
    scale, zero_point = _quant(op, output)

    def stored(real: float) -> int:
        steps = float32(real) / scale
        if abs(steps) >= 2.0**31:
            raise InvalidModel(f"{op.label}: output scale {scale:g} is too small for {activation}", hint=SCALE_HINT)
        return zero_point + round_half_away(float32(steps))

    low, high = -128, 127
    if activation in ("RELU", "RELU6"):
        low = max(low, stored(0.0))
    if activation == "RELU6":
        high = min(high, stored(6.0))
    if activation == "RELU_N1_TO_1":
        low, high = max(low, stored(-1.0)), min(high, stored(1.0))
    return low, high


def _image(tensor: Tensor) -> Image:
    return Image(*tensor.shape)


def _window(payload: ir.Conv2D | ir.DepthwiseConv2D | ir.Pool, image: Image, size: tuple[int, int]) -> Window:
    dilation = (1, 1) if isinstance(payload, ir.Pool) else payload.dilation
    top, _, left, _ = conv_padding(payload, (image.height, image.width), size, dilation)
    return Window(size, payload.stride, dilation, (top, left))


def _constant(op: Op, tensor: Tensor, what: str) -> bytes:
    if tensor.data is None:
        raise UnsupportedOperator(f"{op.label}: its {what} are computed at run time", hint="make them constants")
    return tensor.data


def _weights(op: Op, inputs: tuple[Tensor, ...]) -> tuple[bytes, tuple[int, ...] | None]:
    """(weights, bias), both constant; the weights symmetric."""
    weights = _constant(op, inputs[1], "weights")
    if inputs[1].quant is None:
        raise InvalidModel(f"{op.label}: its weights are not quantized", hint=QUANT_HINT)
    if any(inputs[1].quant.zero_points):
        raise UnsupportedOperator(f"{op.label}: its weights have a zero point", hint="quantize weights symmetrically")
    if len(inputs) < 3:
        return weights, None
    bias = np.frombuffer(_constant(op, inputs[2], "biases"), "<i4")
    return weights, tuple(int(value) for value in bias)


def _channel_requantize(
    op: Op, activation: ir.Activation, inputs: tuple[Tensor, ...], output: Tensor, axis: int
) -> Requantize:
    """Factors per output channel, along ``axis`` of the weights; computed in double."""
    in_scale, _ = _quant(op, inputs[0])
    out_scale, out_zero = _quant(op, output)
    quant = inputs[1].quant
    assert quant is not None
    channels = inputs[1].shape[axis]
    if len(quant.scales) not in (1, channels) or (len(quant.scales) > 1 and quant.axis != axis):
        raise InvalidModel(f"{op.label}: {len(quant.scales)} weight scales for {channels} channels", hint=QUANT_HINT)
    pairs = [_multiplier(op, in_scale * scale / out_scale) for scale in quant.scales]
    return _requantize(pairs, out_zero, _clamp(op, activation, output))


def _requantize(pairs: list[tuple[int, int]], offset: int, clamp: tuple[int, int]) -> Requantize:
    if len(set(pairs)) == 1:
        pairs = pairs[:1]
    multipliers, shifts = zip(*pairs, strict=True)
    return Requantize(tuple(multipliers), tuple(shifts), offset, clamp)


def _check_sums(op: Op, weights: np.ndarray[Any, Any], bias: tuple[int, ...] | None, zero_point: int) -> None:
    """Prove that no sum leaves int32, so the kernels need no wider accumulator. ``weights``: [channels][taps]."""
    reach = max(abs(-128 - zero_point), abs(127 - zero_point))
    sums = np.abs(weights.astype(np.int64)).sum(axis=1) * reach
    if bias is not None:
        sums += np.abs(np.array(bias, np.int64))
    if int(sums.max()) > INT32_MAX:
        raise InvalidModel(f"{op.label}: a sum can leave 32 bits; its biases are out of range", hint=SCALE_HINT)


def _conv(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> ConvCall:
    assert isinstance(op.payload, ir.Conv2D)
    weights, bias = _weights(op, inputs)
    _, zero_point = _quant(op, inputs[0])
    filters, height, width, depth = inputs[1].shape
    _check_sums(op, np.frombuffer(weights, np.int8).reshape(filters, -1), bias, zero_point)
    return ConvCall(
        input=_image(inputs[0]),
        output=_image(output),
        window=_window(op.payload, _image(inputs[0]), (height, width)),
        group_channels=depth,
        input_offset=-zero_point,
        requantize=_channel_requantize(op, op.payload.activation, inputs, output, axis=0),
        weights=weights,
        bias=bias,
    )


def _depthwise(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> DepthwiseCall:
    assert isinstance(op.payload, ir.DepthwiseConv2D)
    weights, bias = _weights(op, inputs)
    _, zero_point = _quant(op, inputs[0])
    _, height, width, channels = inputs[1].shape
    _check_sums(op, np.frombuffer(weights, np.int8).reshape(-1, channels).T, bias, zero_point)
    return DepthwiseCall(
        input=_image(inputs[0]),
        output=_image(output),
        window=_window(op.payload, _image(inputs[0]), (height, width)),
        input_offset=-zero_point,
        requantize=_channel_requantize(op, op.payload.activation, inputs, output, axis=3),
        weights=weights,
        bias=bias,
    )


def _fully_connected(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> FullyConnectedCall:
    weights, bias = _weights(op, inputs)
    in_scale, zero_point = _quant(op, inputs[0])
    units, depth = inputs[1].shape
    _check_sums(op, np.frombuffer(weights, np.int8).reshape(units, depth), bias, zero_point)
    quant = inputs[1].quant
    assert quant is not None
    assert isinstance(op.payload, ir.FullyConnected)
    if len(quant.scales) > 1:
        requantize = _channel_requantize(op, op.payload.activation, inputs, output, axis=0)
    else:
        out_scale, out_zero = _quant(op, output)
        # In double throughout, as the interpreter does: a product rounded to float32 is off by one in 100,000 outputs.
        factor = in_scale * quant.scales[0] / out_scale
        requantize = _requantize([_multiplier(op, factor)], out_zero, _clamp(op, op.payload.activation, output))
    return FullyConnectedCall(
        batches=inputs[0].elements // depth,
        in_features=depth,
        out_features=units,
        input_offset=-zero_point,
        requantize=requantize,
        weights=weights,
        bias=bias,
    )


def _require_same_quant(op: Op, tensor: Tensor, output: Tensor, tolerance: float = 0.0) -> None:
    (scale, zero_point), (out_scale, out_zero) = _quant(op, tensor), _quant(op, output)
    if zero_point != out_zero or abs(scale - out_scale) > tolerance:
        raise UnsupportedOperator(
            f"{op.label}: {tensor.name} and {output.name} have different scales",
            hint="the interpreter refuses this too; convert the model again with a current converter",
        )


def _pool(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> PoolCall:
    assert isinstance(op.payload, ir.Pool)
    _require_same_quant(op, inputs[0], output, SAME_SCALE_TOLERANCE)
    return PoolCall(
        kind=op.payload.kind,
        input=_image(inputs[0]),
        output=_image(output),
        window=_window(op.payload, _image(inputs[0]), op.payload.size),
        clamp=_clamp(op, op.payload.activation, output),
    )


def _mean(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> MeanCall:
    assert isinstance(op.payload, ir.Mean)
    (in_scale, in_zero), (out_scale, out_zero) = _quant(op, inputs[0]), _quant(op, output)
    shape, strides = inputs[0].shape, contiguous_strides(inputs[0].shape)
    reduced = [axis in op.payload.axes for axis in range(len(shape))]
    axes = {
        flag: tuple(zip(*(row for row in zip(shape, strides, reduced, strict=True) if row[2] == flag), strict=True))
        for flag in (False, True)
    }
    kept_axes, reduced_axes = (_merged_pairs(axes[flag][:2]) for flag in (False, True))
    count = math.prod(extent for extent, _ in reduced_axes)
    if count * 256 > INT32_MAX:
        raise UnsupportedOperator(f"{op.label}: a mean over {count} values", hint="reduce in two steps")
    multiplier, shift = _multiplier(op, in_scale / out_scale)
    # The interpreter folds 1/count into the multiplier, keeping as many bits as fit.
    bits = min(count.bit_length() - 1, 32, 31 + shift)
    return MeanCall(
        kept=kept_axes,
        reduced=reduced_axes,
        sum_offset=-in_zero * count,
        multiplier=(multiplier << bits) // count,
        shift=shift - bits,
        output_offset=out_zero,
    )


def _merged_pairs(columns: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, int], ...]:
    """(extent, stride) of merged axes."""
    extents, (strides,) = merge_axes(*columns) if columns else ((1,), [(0,)])
    return tuple(zip(extents, strides, strict=True))


def _binary(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> ElementwiseCall:
    assert isinstance(op.payload, ir.Binary)
    quants = [_quant(op, tensor) for tensor in (*inputs, output)]
    scales = [scale for scale, _ in quants]
    input_pairs = [(0, 0), (0, 0)]
    if op.payload.kind == "mul":
        result = _multiplier(op, scales[0] * scales[1] / scales[2])
    else:
        factors = _sum_factors(scales[0], scales[1], scales[2], in_float=op.payload.kind == "sub")
        input_pairs = [_small_multiplier(op, factor) for factor in factors[:2]]
        result = _small_multiplier(op, factors[2])
    extents, strides = merge_axes(output.shape, *(_broadcast_strides(tensor, output) for tensor in inputs))
    _check_rank(op, len(extents))
    return ElementwiseCall(
        kind=op.payload.kind,
        extents=extents,
        strides=(strides[0], strides[1]),
        input_offsets=(-quants[0][1], -quants[1][1]),
        input_multipliers=(input_pairs[0][0], input_pairs[1][0]),
        input_shifts=(input_pairs[0][1], input_pairs[1][1]),
        multiplier=result[0],
        shift=result[1],
        output_offset=quants[2][1],
        clamp=_clamp(op, op.payload.activation, output),
    )


def _sum_factors(left: float, right: float, out: float, *, in_float: bool) -> tuple[float, float, float]:
    """Factors of ADD (computed in double) or SUB (in float32): inputs to a common scale 2**20 finer, then out."""
    common = 2 * max(left, right)
    if not in_float:
        return left / common, right / common, common / ((1 << 20) * out)
    common = float32(common)
    return float32(left / common), float32(right / common), float32(common / float32((1 << 20) * out))


def _broadcast_strides(tensor: Tensor, output: Tensor) -> tuple[int, ...]:
    shape = (1,) * (len(output.shape) - len(tensor.shape)) + tensor.shape
    strides = contiguous_strides(shape)
    return tuple(0 if size == 1 else stride for size, stride in zip(shape, strides, strict=True))


def _check_rank(op: Op, rank: int) -> None:
    if rank > MAX_RANK:
        raise UnsupportedOperator(f"{op.label}: {rank} axes, at most {MAX_RANK}", hint="reshape to fewer axes first")


def _pad(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> PadCall:
    assert isinstance(op.payload, ir.Pad)
    _, zero_point = _quant(op, output)
    extents, before, after = merge_padded(inputs[0].shape, op.payload.amounts)
    _check_rank(op, len(extents))
    value = zero_point if op.payload.value is None else op.payload.value
    return PadCall(extents, before, after, value)


def _transpose(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> TransposeCall:
    assert isinstance(op.payload, ir.Transpose)
    strides = contiguous_strides(inputs[0].shape)
    extents, (steps,) = merge_axes(output.shape, tuple(strides[axis] for axis in op.payload.permutation))
    _check_rank(op, len(extents))
    return TransposeCall(extents, steps)


def _concat(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> ConcatCall:
    assert isinstance(op.payload, ir.Concat)
    for tensor in inputs:
        _require_same_quant(op, tensor, output)
    rows = math.prod(output.shape[: op.payload.axis])
    return ConcatCall(rows, tuple(tensor.elements // rows for tensor in inputs))


def _softmax(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> SoftmaxCall:
    assert isinstance(op.payload, ir.Softmax)
    scale, _ = _quant(op, inputs[0])
    _require_output(op, output, 1.0 / 256, -128)
    if op.payload.beta * scale * (1 << 26) <= 1.0:
        raise InvalidModel(f"{op.label}: beta * scale = {op.payload.beta * scale:g} is too small", hint=SCALE_HINT)
    multiplier, left_shift, diff_min = softmax_scaling(op.payload.beta, scale)
    depth = output.shape[-1] if output.shape else 1
    if depth > 4096:
        raise UnsupportedOperator(
            f"{op.label}: {depth} classes, at most 4096", hint="the sum of exponents would overflow"
        )
    return SoftmaxCall(output.elements // depth, depth, multiplier, left_shift, diff_min)


def _require_output(op: Op, output: Tensor, scale: float, zero_point: int) -> None:
    if _quant(op, output) != (scale, zero_point):
        raise UnsupportedOperator(
            f"{op.label}: output scale {_quant(op, output)[0]:g}, zero point {_quant(op, output)[1]}; "
            f"it must be {scale:g}, {zero_point}",
            hint="the interpreter refuses this too; convert the model again with a current converter",
        )


def _unary(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> LookupCall:
    assert isinstance(op.payload, ir.Unary)
    table = UNARY_TABLES[op.payload.kind](op, inputs[0], output)
    return LookupCall(output.elements, table)


def _relu_table(op: Op, source: Tensor, output: Tensor) -> tuple[int, ...]:
    (in_scale, in_zero), (out_scale, out_zero) = _quant(op, source), _quant(op, output)
    pair = _multiplier(op, float32(in_scale / out_scale))
    low = max(-128, out_zero)
    return tuple(min(max(out_zero + multiply(x - in_zero, *pair), low), 127) for x in range(-128, 128))


def _relu6_table(op: Op, source: Tensor, output: Tensor) -> tuple[int, ...]:
    _require_same_quant(op, source, output, SAME_SCALE_TOLERANCE)
    low, high = _clamp(op, "RELU6", source)
    return tuple(min(max(x, low), high) for x in range(-128, 128))


def _requantize_table(op: Op, source: Tensor, output: Tensor) -> tuple[int, ...]:
    (in_scale, in_zero), (out_scale, out_zero) = _quant(op, source), _quant(op, output)
    pair = _multiplier(op, in_scale / out_scale)
    return tuple(min(max(out_zero + multiply(x - in_zero, *pair), -128), 127) for x in range(-128, 128))


def _logistic_table(op: Op, source: Tensor, output: Tensor) -> tuple[int, ...]:
    _require_output(op, output, 1.0 / 256, -128)
    return logistic_table(*_sigmoid_input(op, source))


def _tanh_table(op: Op, source: Tensor, output: Tensor) -> tuple[int, ...]:
    _require_output(op, output, 1.0 / 128, 0)
    return tanh_table(*_sigmoid_input(op, source))


def _sigmoid_input(op: Op, source: Tensor) -> tuple[float, int]:
    scale, zero_point = _quant(op, source)
    if not 2.0**-27 <= scale < 16.0:
        raise InvalidModel(f"{op.label}: input scale {scale:g}", hint=SCALE_HINT)
    return scale, zero_point


def _quantize(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> QuantizeCall:
    return QuantizeCall(output.elements, *_quant(op, output))


def _dequantize(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> DequantizeCall:
    return DequantizeCall(output.elements, *_quant(op, inputs[0]))


UNARY_TABLES: dict[str, Callable[[Op, Tensor, Tensor], tuple[int, ...]]] = {
    "relu": _relu_table,
    "relu6": _relu6_table,
    "logistic": _logistic_table,
    "tanh": _tanh_table,
    "requantize": _requantize_table,
}

LOWERINGS: dict[type, Callable[[Op, tuple[Tensor, ...], Tensor], KernelCall]] = {
    ir.Conv2D: _conv,
    ir.DepthwiseConv2D: _depthwise,
    ir.FullyConnected: _fully_connected,
    ir.Pool: _pool,
    ir.Mean: _mean,
    ir.Binary: _binary,
    ir.Pad: _pad,
    ir.Transpose: _transpose,
    ir.Concat: _concat,
    ir.Softmax: _softmax,
    ir.Unary: _unary,
    ir.Quantize: _quantize,
    ir.Dequantize: _dequantize,
}
