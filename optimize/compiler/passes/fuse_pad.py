"""Fuse a PAD of height and width into the convolution that reads it.

Padding with the zero point adds zero to every sum, which is what the convolution's own border does: skip those taps.
"""

from __future__ import annotations

from dataclasses import replace

from optimize.compiler.ir import Conv2D, DepthwiseConv2D, Graph, Op, Pad


def fuse_pad(graph: Graph) -> Graph:
    """Give convolutions the explicit padding of the PAD before them, where that gives the same bytes."""
    pads = {op.outputs[0]: op for op in graph.ops if isinstance(op.payload, Pad)}
    fused: set[int] = set()
    ops = []
    for op in graph.ops:
        pad = pads.get(op.inputs[0])
        if pad is not None and _can_fuse(graph, pad, op):
            fused.add(pad.outputs[0])
            op = _fuse(pad, op)
        ops.append(op)
    return graph.with_ops(tuple(op for op in ops if not fused.intersection(op.outputs)))


def _can_fuse(graph: Graph, pad: Op, op: Op) -> bool:
    if not isinstance(op.payload, Conv2D | DepthwiseConv2D) or not isinstance(pad.payload, Pad):
        return False
    source, padded = graph.tensors[pad.inputs[0]], graph.tensors[pad.outputs[0]]
    amounts, value = pad.payload.amounts, pad.payload.value
    return (
        op.payload.padding == "VALID"
        and op.payload.explicit_pad is None
        and graph.uses(pad.outputs[0]) == 1
        and not any(tensor.alias_of == pad.outputs[0] for tensor in graph.tensors)
        and len(amounts) == 4
        and amounts[0] == amounts[3] == (0, 0)
        and source.quant is not None
        and source.quant == padded.quant
        and value in (None, source.quant.zero_points[0])
    )


def _fuse(pad: Op, op: Op) -> Op:
    assert isinstance(pad.payload, Pad)
    assert isinstance(op.payload, Conv2D | DepthwiseConv2D)
    (top, bottom), (left, right) = pad.payload.amounts[1:3]
    payload = replace(op.payload, explicit_pad=(top, bottom, left, right))
    return replace(op, payload=payload, inputs=(pad.inputs[0], *op.inputs[1:]))
