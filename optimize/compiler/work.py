"""How much work an operator of a model is: multiply-accumulates, from the shapes in the file alone."""

from __future__ import annotations

from optimize.compiler.ir import Conv2D, DepthwiseConv2D, FullyConnected, Graph, Op


def multiply_accumulates(graph: Graph, op: Op) -> int:
    """Each output element of a convolution or dense layer takes one multiply-accumulate per weight that reaches it.

    Other operators count none.
    """
    if not isinstance(op.payload, Conv2D | DepthwiseConv2D | FullyConnected):
        return 0
    weights, result = graph.tensors[op.inputs[1]], graph.tensors[op.outputs[0]]
    filters = weights.shape[-1] if isinstance(op.payload, DepthwiseConv2D) else weights.shape[0]
    return result.elements * (weights.elements // filters)
