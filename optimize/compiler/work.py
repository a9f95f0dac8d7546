"""How much work an operator of a model is: multiply-accumulates, from the shapes in the file alone."""

from __future__ import annotations

from optimize.compiler.batch_matmul import BatchMatMul
from optimize.compiler.ir import Conv2D, DepthwiseConv2D, FullyConnected, Graph, Op, TransposeConv
from optimize.compiler.recurrent import Lstm, Svdf


def multiply_accumulates(graph: Graph, op: Op) -> int:
    """Each value that is computed takes one multiply-accumulate per weight that reaches it.

    A transposed convolution is counted by what its inputs reach, also beyond the output's edge. Operators without
    weights count none, but for the product of two matrices.
    """
    inputs = [graph.tensors[index] for index in op.inputs]
    result, payload = graph.tensors[op.outputs[0]], op.payload
    if isinstance(payload, Conv2D | FullyConnected):
        return result.elements * (inputs[1].elements // inputs[1].shape[0])
    if isinstance(payload, DepthwiseConv2D):
        return result.elements * (inputs[1].elements // inputs[1].shape[-1])
    if isinstance(payload, TransposeConv):
        return inputs[0].elements * (inputs[1].elements // inputs[1].shape[-1])
    if isinstance(payload, BatchMatMul):
        return result.elements * inputs[0].shape[-2 if payload.adjoint[0] else -1]
    if isinstance(payload, Lstm):
        return inputs[0].elements // inputs[0].shape[-1] * sum(weights.elements for weights in inputs[1:9])
    if isinstance(payload, Svdf):
        return inputs[0].shape[0] * (inputs[1].elements + inputs[2].elements)
    return 0
