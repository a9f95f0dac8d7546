"""Kernels for Arm cores with Helium: replaces portable kernel calls by faster ones that give the same bytes.

A choice looks at one portable call and returns the faster call, or None where its conditions do not hold; the portable
kernel then stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np

from optimize.compiler.helium_packing import Array, folded_biases, pack_depthwise, pack_gemm, pack_requantize
from optimize.compiler.ir import Graph, Op
from optimize.compiler.kernels import (
    ConvCall,
    DepthwiseCall,
    ElementwiseCall,
    FullyConnectedCall,
    Kernel,
    PoolCall,
    Window,
)
from optimize.compiler.kernels_helium import (
    COLUMNS,
    DEPTHWISE_HEIGHT,
    POOL_TAPS,
    HeliumConvCall,
    HeliumDepthwiseCall,
    HeliumElementwiseCall,
    HeliumFullyConnectedCall,
    HeliumLinearCall,
    HeliumPointwiseCall,
    HeliumPoolCall,
)
from optimize.compiler.linear import find_linear


def select_helium(graph: Graph) -> Graph:
    """Replace each kernel call by the first faster one that takes it."""
    return graph.with_ops(tuple(_select(op) for op in graph.ops))


def _select(op: Op) -> Op:
    for choice in CHOICES.get(type(op.payload), ()):
        faster = choice(op.payload)
        if faster is not None:
            return replace(op, payload=faster)
    return op


def _single(call: ConvCall) -> Kernel | None:
    """Few outputs, each of which sees all of its image: fully connected, which wants no three pixels at a time."""
    window, image, target = call.window, call.input, call.output
    whole = (window.size, window.dilation, window.pad) == ((image.height, image.width), (1, 1), (0, 0))
    if not whole or (target.height, target.width) != (1, 1) or target.batches >= COLUMNS or _is_grouped(call):
        return None
    weights = _matrix(call.weights, target.channels)
    gemm = pack_gemm(weights, call.bias, -call.input_offset, call.requantize, together=4)
    return HeliumFullyConnectedCall(target.batches, weights.shape[1], gemm)


def _pointwise(call: ConvCall) -> Kernel | None:
    """1x1, stride 1, no border: a pixel's channels are the inputs of its outputs."""
    window, image = call.window, replace(call.input, channels=call.output.channels)
    one = (window.size, window.stride, window.pad) == ((1, 1), (1, 1), (0, 0))
    if not one or image != call.output or _is_grouped(call):
        return None
    weights = _matrix(call.weights, call.output.channels)
    gemm = pack_gemm(weights, call.bias, -call.input_offset, call.requantize, together=2)
    pixels = call.output.elements // call.output.channels
    return HeliumPointwiseCall(pixels, call.input.channels, gemm)


def _conv(call: ConvCall) -> Kernel | None:
    """Any window; every output channel sees all input channels."""
    if _is_grouped(call):
        return None
    call = _laid(call)
    weights = _matrix(call.weights, call.output.channels)
    gemm = pack_gemm(weights, call.bias, -call.input_offset, call.requantize, together=2)
    return HeliumConvCall(call.input, call.output, call.window, -call.input_offset, gemm)


def _linear(call: ElementwiseCall) -> Kernel | None:
    """The sum of two tensors of the same shape, where a linear function gives the same bytes."""
    found = find_linear(call) if call.strides == ((1,), (1,)) else None
    if found is None:
        return None
    return HeliumLinearCall(call.extents[0], found.factors, found.bias, found.shift, call.clamp)


def _elementwise(call: ElementwiseCall) -> Kernel | None:
    """Two tensors of the same shape."""
    if call.strides != ((1,), (1,)) or call.kind == "sub" or max(call.shift, *call.input_shifts) > 0:
        return None
    return HeliumElementwiseCall(*(getattr(call, field.name) for field in fields(call)))


def _pool(call: PoolCall) -> Kernel | None:
    """Maxima, and averages whose sums fit 16 bits."""
    if call.kind == "average" and call.window.size[0] * call.window.size[1] > POOL_TAPS:
        return None
    return HeliumPoolCall(*(getattr(call, field.name) for field in fields(call)))


def _matrix(weights: bytes, channels: int) -> Array:
    """int8 weights as [channels][inputs]."""
    return np.frombuffer(weights, np.int8).astype(np.int64).reshape(channels, -1)


AnyConv = TypeVar("AnyConv", ConvCall, DepthwiseCall)


def _laid(call: AnyConv) -> AnyConv:
    """An image of one column as one of one row, which is the same in memory; the kernels are fastest along rows."""
    if (call.input.width, call.output.width, call.window.size[1], call.window.pad[1]) != (1, 1, 1, 0):
        return call
    window = call.window
    size, dilation, pad = ((1, window.size[0]), (1, window.dilation[0]), (0, window.pad[0]))
    return replace(
        call,
        input=replace(call.input, height=1, width=call.input.height),
        output=replace(call.output, height=1, width=call.output.height),
        window=Window(size, (1, window.stride[0]), dilation, pad),
    )


def _is_grouped(call: ConvCall) -> bool:
    return call.group_channels != call.input.channels


def _depthwise(call: DepthwiseCall) -> Kernel | None:
    """One output channel for an input channel, a window that is not too high."""
    call = _laid(call)
    if call.input.channels != call.output.channels or call.window.size[0] > DEPTHWISE_HEIGHT:
        return None
    weights = np.frombuffer(call.weights, np.int8).reshape(*call.window.size, call.output.channels).astype(np.int64)
    packed = pack_depthwise(weights)
    if packed is None:
        return None
    biases = folded_biases(weights.reshape(-1, call.output.channels).T, call.bias, -call.input_offset)
    requantize = pack_requantize(biases, call.requantize)
    return HeliumDepthwiseCall(call.input, call.output, call.window, -call.input_offset, packed, requantize)


def _fully_connected(call: FullyConnectedCall) -> Kernel | None:
    weights = _matrix(call.weights, call.out_features)
    gemm = pack_gemm(weights, call.bias, -call.input_offset, call.requantize, together=4)
    return HeliumFullyConnectedCall(call.batches, call.in_features, gemm)


CHOICES: dict[type, tuple[Callable[[Any], Kernel | None], ...]] = {
    ConvCall: (_single, _pointwise, _conv),
    DepthwiseCall: (_depthwise,),
    ElementwiseCall: (_linear, _elementwise),
    PoolCall: (_pool,),
    FullyConnectedCall: (_fully_connected,),
}
"""Portable call -> what may replace it, best first."""
