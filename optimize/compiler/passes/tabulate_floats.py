"""Replace DEQUANTIZE, functions of one float32, QUANTIZE by a table of 256 results.

A converter leaves such islands where the operator has no int8 form (the negation in a layer normalization, squares).
"""

from __future__ import annotations

import math
from dataclasses import replace

from optimize.compiler.fixed_point import float32, round_half_away
from optimize.compiler.float_functions import FUNCTIONS, Function, leaky
from optimize.compiler.ir import Dequantize, FloatFunction, Graph, Op, Quantize, Reshape, Tabulated, Tensor, Unary


def tabulate_floats(graph: Graph) -> Graph:
    """Give each such QUANTIZE the table and the int8 input; what nothing reads then is for ``drop_unused``."""
    producers = {output: op for op in graph.ops for output in op.outputs}
    return graph.with_ops(tuple(_tabulated(graph, producers, op) for op in graph.ops))


def _tabulated(graph: Graph, producers: dict[int, Op], op: Op) -> Op:
    """A QUANTIZE with everything back to a DEQUANTIZE folded into it."""
    if not isinstance(op.payload, Quantize):
        return op
    functions: list[Function] = []
    before = producers.get(op.inputs[0])
    while before is not None and (function := _function(before)) is not None:
        functions.insert(0, function)
        before = producers.get(before.inputs[0])
    if before is None or not isinstance(before.payload, Dequantize):
        return op
    table = _table(graph.tensors[before.inputs[0]], functions, graph.tensors[op.outputs[0]])
    return op if table is None else replace(op, payload=Tabulated(table), inputs=before.inputs)


def _function(op: Op) -> Function | None:
    if isinstance(op.payload, Reshape):
        return lambda x: x
    if isinstance(op.payload, Unary) and op.payload.kind == "leaky_relu":
        return leaky(op.payload.alpha)
    if isinstance(op.payload, FloatFunction | Unary):
        return FUNCTIONS.get(op.payload.kind)
    return None


def _table(source: Tensor, functions: list[Function], target: Tensor) -> tuple[int, ...] | None:
    """None where a tensor is no int8 with one scale; the checks that follow say so."""
    for tensor in (source, target):
        if tensor.dtype != "int8" or tensor.quant is None or len(tensor.quant.scales) != 1:
            return None
    assert source.quant is not None
    assert target.quant is not None
    results = []
    for stored in range(-128, 128):
        value = float32(source.quant.scales[0] * (stored - source.quant.zero_points[0]))
        for function in functions:
            value = float32(function(value))
        results.append(_quantized(value, target.quant.scales[0], target.quant.zero_points[0]))
    return tuple(results)


def _quantized(value: float, scale: float, zero_point: int) -> int:
    """The stored int8 of a float32, as ``flota_nn_quantize_f32_s8`` finds it."""
    steps = value / scale
    if math.isnan(steps):
        return zero_point
    steps = float32(min(max(steps, -1024.0), 1024.0))
    return min(max(round_half_away(steps) + zero_point, -128), 127)
