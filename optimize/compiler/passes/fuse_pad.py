"""Fuse a PAD of height and width into the operators that read it.

Padding with the zero point adds zero to every sum of a convolution, which is what its own border does: skip those taps.
Padding with the smallest int8 never wins a maximum, as long as each window also holds something else.
"""

from __future__ import annotations

from dataclasses import replace

from optimize.compiler.ir import Conv2D, DepthwiseConv2D, Graph, Op, Pad, Pool


def fuse_pad(graph: Graph) -> Graph:
    """Give convolutions and maximum pools the explicit padding of the PAD before them, where all its readers can."""
    pads = {op.outputs[0]: op for op in graph.ops if isinstance(op.payload, Pad)}
    fused = {padded: pad for padded, pad in pads.items() if _can_fuse(graph, pad)}
    ops = [_fuse(fused[op.inputs[0]], op) if op.inputs and op.inputs[0] in fused else op for op in graph.ops]
    return graph.with_ops(tuple(op for op in ops if not fused.keys() & set(op.outputs)))


def _can_fuse(graph: Graph, pad: Op) -> bool:
    padded = pad.outputs[0]
    readers = [op for op in graph.ops if padded in op.inputs]
    return (
        bool(readers)
        and graph.uses(padded) == len(readers)
        and not any(tensor.alias_of == padded for tensor in graph.tensors)
        and all(op.inputs[0] == padded and _takes(graph, pad, op) for op in readers)
    )


def _takes(graph: Graph, pad: Op, op: Op) -> bool:
    """Whether ``op`` gives the same bytes with the padding of its own."""
    assert isinstance(pad.payload, Pad)
    source, padded = graph.tensors[pad.inputs[0]], graph.tensors[pad.outputs[0]]
    amounts, value = pad.payload.amounts, pad.payload.value
    if not isinstance(op.payload, Conv2D | DepthwiseConv2D | Pool) or source.quant is None:
        return False
    value = source.quant.zero_points[0] if value is None else value
    plain = op.payload.padding == "VALID" and op.payload.explicit_pad is None
    image_only = len(amounts) == 4 and amounts[0] == amounts[3] == (0, 0)
    if not plain or not image_only or source.quant != padded.quant:
        return False
    if isinstance(op.payload, Pool):
        touches = all(max(pair) < size for pair, size in zip(amounts[1:3], op.payload.size, strict=True))
        return op.payload.kind == "max" and value == -128 and touches
    return value == source.quant.zero_points[0]


def _fuse(pad: Op, op: Op) -> Op:
    assert isinstance(pad.payload, Pad)
    assert isinstance(op.payload, Conv2D | DepthwiseConv2D | Pool)
    (top, bottom), (left, right) = pad.payload.amounts[1:3]
    payload = replace(op.payload, explicit_pad=(top, bottom, left, right))
    return replace(op, payload=payload, inputs=(pad.inputs[0], *op.inputs[1:]))
