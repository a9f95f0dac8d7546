"""Kernels for Arm cores with the DSP extension: replaces portable kernel calls by faster ones that give the same bytes.

A choice looks at one portable call and returns the faster call, or None where its conditions do not hold; the portable
kernel then stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from optimize.compiler.ir import Graph, Op
from optimize.compiler.kernels import ConvCall, DepthwiseCall, FullyConnectedCall, Kernel
from optimize.compiler.passes.choose_depthwise import choose_depthwise
from optimize.compiler.passes.choose_gemm import choose_conv, choose_fully_connected


def select_dsp(graph: Graph) -> Graph:
    """Replace each kernel call by the first faster one that takes it."""
    return graph.with_ops(tuple(_select(op) for op in graph.ops))


def _select(op: Op) -> Op:
    for choice in CHOICES.get(type(op.payload), ()):
        faster = choice(op.payload)
        if faster is not None:
            return replace(op, payload=faster)
    return op


CHOICES: dict[type, tuple[Callable[[Any], Kernel | None], ...]] = {
    ConvCall: (choose_conv,),
    DepthwiseCall: (choose_depthwise,),
    FullyConnectedCall: (choose_fully_connected,),
}
"""Portable call -> what may replace it, best first."""
