"""Lower every operator to the call of one C kernel; how is the table of ``optimize/compiler/lowering/``."""

from __future__ import annotations

from dataclasses import replace

from optimize.compiler.ir import Graph, Op, Tensor
from optimize.compiler.kernels import ConvCall, DepthwiseCall, FullyConnectedCall
from optimize.compiler.kernels_image import TransposeConvCall
from optimize.compiler.kernels_recurrent import LstmCall, SvdfCall
from optimize.compiler.lowering import LOWERINGS


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
    inputs_left = op.inputs[:1] if isinstance(call, HOLD_THEIR_CONSTANTS) else op.inputs
    if isinstance(call, SvdfCall | LstmCall):
        inputs_left = tuple(index for index, tensor in zip(op.inputs, inputs, strict=True) if tensor.data is None)
    return replace(op, payload=call, inputs=inputs_left)


def _with_data(graph: Graph, index: int) -> Tensor:
    """A tensor with its own shape and the data of the constant it may be an alias of."""
    return replace(graph.tensors[index], data=graph.tensors[graph.storage(index)].data, alias_of=None)


HOLD_THEIR_CONSTANTS = (ConvCall, DepthwiseCall, FullyConnectedCall, TransposeConvCall)
"""Calls that hold all constant operands, so that of the inputs only the first remains."""
