"""Kernels for Arm cores with the DSP extension: replaces portable kernel calls by faster ones that give the same bytes.

A choice looks at one portable call and returns the faster call, or None where its conditions do not hold; the portable
kernel then stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from optimize.compiler.ir import Graph, Op, Payload
from optimize.compiler.kernels import (
    ConvCall,
    DepthwiseCall,
    ElementwiseCall,
    FullyConnectedCall,
    Kernel,
    MeanCall,
    PoolCall,
)
from optimize.compiler.kernels_image import TransposeConvCall
from optimize.compiler.kernels_recurrent import BatchMatMulCall, LstmCall, SvdfCall
from optimize.compiler.passes.choose_depthwise import choose_conv_of_one_channel, choose_depthwise, choose_depthwise3
from optimize.compiler.passes.choose_depthwise_plane import choose_depthwise_plane
from optimize.compiler.passes.choose_elementwise import choose_elementwise
from optimize.compiler.passes.choose_gemm import choose_conv, choose_fully_connected, choose_transpose_conv
from optimize.compiler.passes.choose_recurrent import choose_batch_matmul, choose_lstm, choose_svdf
from optimize.compiler.passes.choose_reduction import choose_mean, choose_pool

NEGLIGIBLE = 1 / 1000
"""A layer of these kinds with less of the work stays portable: the fast kernels have 600 more bytes of code."""

SMALL_KINDS = FullyConnectedCall | PoolCall | MeanCall


def select_dsp(graph: Graph) -> Graph:
    """Replace each kernel call by the first faster one that takes it."""
    negligible = NEGLIGIBLE * sum(_work(op.payload) for op in graph.ops)
    return graph.with_ops(tuple(_select(op, negligible) for op in graph.ops))


def _select(op: Op, negligible: float) -> Op:
    if isinstance(op.payload, SMALL_KINDS) and _work(op.payload) < negligible:
        return op
    for choice in CHOICES.get(type(op.payload), ()):
        faster = choice(op.payload)
        if faster is not None:
            return replace(op, payload=faster)
    return op


def _work(call: Payload) -> int:
    """Multiplications of a weight and an input, or values compared or added."""
    if isinstance(call, FullyConnectedCall):
        return call.batches * len(call.weights)
    if isinstance(call, ConvCall | DepthwiseCall):
        return call.output.elements * len(call.weights) // call.output.channels
    if isinstance(call, PoolCall):
        return call.output.elements * call.window.size[0] * call.window.size[1]
    if isinstance(call, MeanCall):
        return math.prod(extent for extent, _ in call.kept + call.reduced)
    return 0


CHOICES: dict[type, tuple[Callable[[Any], Kernel | None], ...]] = {
    BatchMatMulCall: (choose_batch_matmul,),
    ConvCall: (choose_conv,),
    DepthwiseCall: (choose_conv_of_one_channel, choose_depthwise3, choose_depthwise_plane, choose_depthwise),
    ElementwiseCall: (choose_elementwise,),
    FullyConnectedCall: (choose_fully_connected,),
    LstmCall: (choose_lstm,),
    MeanCall: (choose_mean,),
    PoolCall: (choose_pool,),
    SvdfCall: (choose_svdf,),
    TransposeConvCall: (choose_transpose_conv,),
}
"""Portable call -> what may replace it, best first."""
