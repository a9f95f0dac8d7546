"""Which graphs are legal. Checked after reading and after every pass, so later code may rely on it.

``verify`` holds the structure (every tensor has one definition before its uses) and one shape rule per payload. For
kernel calls the rules compare what the C code will touch with the size of its operands: a graph that passes cannot make
generated code leave a tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from optimize.compiler import ir, kernels
from optimize.compiler.geometry import conv_output, conv_padding
from optimize.compiler.ir import Graph, Op, Tensor
from optimize.errors import InvalidModel

HINT = "the file is damaged or leaves shapes open; export the model again, with a fixed batch size of 1"
Operands = tuple[Tensor, ...]


def verify(graph: Graph) -> Graph:
    """Return ``graph`` unchanged, or raise ``InvalidModel`` naming the operator or tensor that is wrong."""
    _verify_tensors(graph)
    _verify_definitions(graph)
    for op in graph.ops:
        rule = RULES[type(op.payload)]
        inputs = tuple(graph.tensors[i] for i in op.inputs)
        outputs = tuple(graph.tensors[i] for i in op.outputs)
        problem = rule(op.payload, inputs, outputs)
        if problem:
            raise _wrong(op, problem)
    return graph


def _wrong(op: Op, problem: str) -> InvalidModel:
    return InvalidModel(f"{op.label}: {problem}", hint=HINT)


def _verify_tensors(graph: Graph) -> None:
    for index, tensor in enumerate(graph.tensors):
        label = f"tensor {index} ({tensor.name})"
        if tensor.data is not None and tensor.bytes not in (0, len(tensor.data)):
            raise InvalidModel(f"{label}: {len(tensor.data)} bytes of data for {tensor.bytes} bytes", hint=HINT)
        zero_points = tensor.quant.zero_points if tensor.dtype == "int8" and tensor.quant is not None else ()
        if not all(-128 <= zero_point <= 127 for zero_point in zero_points):
            raise InvalidModel(f"{label}: a zero point is not an int8", hint=HINT)
        if tensor.alias_of is not None and graph.tensors[tensor.alias_of].alias_of is not None:
            raise InvalidModel(f"{label}: alias of an alias", hint=HINT)
        if tensor.alias_of is not None and graph.tensors[tensor.alias_of].bytes != tensor.bytes:
            raise InvalidModel(f"{label}: alias of a tensor of another size", hint=HINT)


def _verify_definitions(graph: Graph) -> None:
    if not graph.inputs or not graph.outputs:
        raise InvalidModel("the graph has no inputs or no outputs", hint=HINT)
    defined = {index for index, tensor in enumerate(graph.tensors) if tensor.data is not None}
    for index in graph.inputs:
        _define(graph, defined, index, "the graph's inputs")
    for op in graph.ops:
        for index in op.inputs:
            if graph.storage(index) not in defined:
                raise _wrong(op, f"it reads tensor {index} ({graph.tensors[index].name}) before it is computed")
        for index in op.outputs:
            _define(graph, defined, index, op.label)
    for index in graph.outputs:
        owner = graph.storage(index)
        if owner not in defined or graph.tensors[owner].data is not None:
            raise InvalidModel(f"graph output {index} ({graph.tensors[index].name}) is never computed", hint=HINT)


def _define(graph: Graph, defined: set[int], index: int, by: str) -> None:
    if index in defined or graph.tensors[index].alias_of is not None:
        raise InvalidModel(f"tensor {index} ({graph.tensors[index].name}) is defined again by {by}", hint=HINT)
    defined.add(index)


def _windowed(payload: ir.Conv2D | ir.DepthwiseConv2D | ir.Pool, inputs: Operands, outputs: Operands) -> str:
    """Ranks, batch and the two image sizes of a sliding window."""
    if len(inputs[0].shape) != 4 or len(outputs[0].shape) != 4:
        return f"input {list(inputs[0].shape)} and output {list(outputs[0].shape)} must be NHWC"
    if isinstance(payload, ir.Pool):
        size, dilation = payload.size, (1, 1)
    else:
        if len(inputs) < 2 or len(inputs[1].shape) != 4:
            return "its weights must have rank 4"
        size, dilation = (inputs[1].shape[1], inputs[1].shape[2]), payload.dilation
    image = (inputs[0].shape[1], inputs[0].shape[2])
    pads = conv_padding(payload, image, size, dilation)
    expected = (inputs[0].shape[0], *conv_output(image, size, payload.stride, dilation, pads))
    if min(expected) < 1 or outputs[0].shape[:3] != expected:
        return f"output {list(outputs[0].shape)}, expected {list(expected)} before the channels"
    return ""


def _conv(payload: ir.Conv2D, inputs: Operands, outputs: Operands) -> str:
    problem = _windowed(payload, inputs, outputs)
    if problem:
        return problem
    in_channels, out_channels = inputs[0].shape[3], outputs[0].shape[3]
    filters, _, _, group_channels = inputs[1].shape
    if filters != out_channels or in_channels % group_channels:
        return f"weights {list(inputs[1].shape)} for {in_channels} input and {out_channels} output channels"
    if out_channels % (in_channels // group_channels):
        return f"{out_channels} output channels in {in_channels // group_channels} groups"
    return _bias(inputs, out_channels)


def _depthwise(payload: ir.DepthwiseConv2D, inputs: Operands, outputs: Operands) -> str:
    problem = _windowed(payload, inputs, outputs)
    if problem:
        return problem
    in_channels, out_channels = inputs[0].shape[3], outputs[0].shape[3]
    if inputs[1].shape[0] != 1 or inputs[1].shape[3] != out_channels or out_channels % in_channels:
        return f"weights {list(inputs[1].shape)} for {in_channels} input and {out_channels} output channels"
    return _bias(inputs, out_channels)


def _bias(inputs: Operands, channels: int) -> str:
    if len(inputs) == 3 and inputs[2].elements != channels:
        return f"a bias of {inputs[2].elements} values for {channels} channels"
    return ""


def _fully_connected(payload: ir.FullyConnected, inputs: Operands, outputs: Operands) -> str:
    if len(inputs) < 2 or len(inputs[1].shape) != 2 or not outputs[0].shape:
        return "its weights must have rank 2"
    units, depth = inputs[1].shape
    batches = inputs[0].elements // depth
    if batches * depth != inputs[0].elements or outputs[0].shape[-1] != units:
        return f"weights {list(inputs[1].shape)} for an input of {inputs[0].elements} values"
    if outputs[0].elements != batches * units:
        return f"output {list(outputs[0].shape)} for {batches} batches of {units}"
    return _bias(inputs, units)


def _pool(payload: ir.Pool, inputs: Operands, outputs: Operands) -> str:
    problem = _windowed(payload, inputs, outputs)
    if not problem and inputs[0].shape[3] != outputs[0].shape[3]:
        return "it changes the number of channels"
    return problem


def _mean(payload: ir.Mean, inputs: Operands, outputs: Operands) -> str:
    shape = inputs[0].shape
    if any(not 0 <= axis < len(shape) for axis in payload.axes):
        return f"axes {list(payload.axes)} of shape {list(shape)}"
    kept = tuple(size for axis, size in enumerate(shape) if axis not in payload.axes)
    ones = tuple(1 if axis in payload.axes else size for axis, size in enumerate(shape))
    return "" if outputs[0].shape in (kept, ones) else f"output {list(outputs[0].shape)}, expected {list(kept)}"


def _binary(payload: ir.Binary, inputs: Operands, outputs: Operands) -> str:
    rank = max(len(tensor.shape) for tensor in inputs)
    left, right = ((1,) * (rank - len(tensor.shape)) + tensor.shape for tensor in inputs)
    if any(a != b and 1 not in (a, b) for a, b in zip(left, right, strict=True)):
        return f"shapes {list(inputs[0].shape)} and {list(inputs[1].shape)} do not broadcast"
    expected = tuple(max(a, b) for a, b in zip(left, right, strict=True))
    return "" if outputs[0].shape == expected else f"output {list(outputs[0].shape)}, expected {list(expected)}"


def _pad(payload: ir.Pad, inputs: Operands, outputs: Operands) -> str:
    if len(payload.amounts) != len(inputs[0].shape):
        return "one pair of paddings per axis is needed"
    expected = tuple(
        size + before + after for size, (before, after) in zip(inputs[0].shape, payload.amounts, strict=True)
    )
    return "" if outputs[0].shape == expected else f"output {list(outputs[0].shape)}, expected {list(expected)}"


def _transpose(payload: ir.Transpose, inputs: Operands, outputs: Operands) -> str:
    expected = tuple(inputs[0].shape[axis] for axis in payload.permutation)
    return "" if outputs[0].shape == expected else f"output {list(outputs[0].shape)}, expected {list(expected)}"


def _concat(payload: ir.Concat, inputs: Operands, outputs: Operands) -> str:
    axis, shape = payload.axis, outputs[0].shape
    for tensor in inputs:
        if len(tensor.shape) != len(shape) or any(
            i != axis and size != shape[i] for i, size in enumerate(tensor.shape)
        ):
            return f"input {list(tensor.shape)} does not fit output {list(shape)} on axis {axis}"
    total = sum(tensor.shape[axis] for tensor in inputs)
    return "" if total == shape[axis] else f"its inputs add up to {total} on axis {axis}, not {shape[axis]}"


def _same_elements(payload: Any, inputs: Operands, outputs: Operands) -> str:
    if inputs[0].elements != outputs[0].elements:
        return f"{inputs[0].elements} values in, {outputs[0].elements} values out"
    return ""


def _reshape(payload: ir.Reshape, inputs: Operands, outputs: Operands) -> str:
    if inputs[0].dtype != outputs[0].dtype:
        return f"it turns {inputs[0].dtype} into {outputs[0].dtype}"
    return _same_elements(payload, inputs, outputs)


def _same_shape(payload: Any, inputs: Operands, outputs: Operands) -> str:
    if inputs[0].shape != outputs[0].shape:
        return f"input {list(inputs[0].shape)}, output {list(outputs[0].shape)}"
    return ""


def _anything(payload: Any, inputs: Operands, outputs: Operands) -> str:
    return ""


def _sizes(*expected: tuple[int, int]) -> str:
    wrong = [f"{actual} bytes where the kernel touches {wanted}" for actual, wanted in expected if actual != wanted]
    return "; ".join(wrong)


def _images(
    payload: kernels.ConvCall | kernels.DepthwiseCall | kernels.PoolCall, inputs: Operands, out: Operands
) -> str:
    return _sizes((inputs[0].bytes, payload.input.elements), (out[0].bytes, payload.output.elements))


def _fully_connected_call(payload: kernels.FullyConnectedCall, inputs: Operands, outputs: Operands) -> str:
    return _sizes(
        (inputs[0].bytes, payload.batches * payload.in_features),
        (outputs[0].bytes, payload.batches * payload.out_features),
        (len(payload.weights), payload.in_features * payload.out_features),
    )


def _mean_call(payload: kernels.MeanCall, inputs: Operands, outputs: Operands) -> str:
    kept, reduced = (math.prod(extent for extent, _ in axes) for axes in (payload.kept, payload.reduced))
    return _sizes((inputs[0].bytes, kept * reduced), (outputs[0].bytes, kept))


def _elementwise_call(payload: kernels.ElementwiseCall, inputs: Operands, outputs: Operands) -> str:
    reach = [
        1 + sum((extent - 1) * stride for extent, stride in zip(payload.extents, strides, strict=True))
        for strides in payload.strides
    ]
    return _sizes(
        (inputs[0].bytes, reach[0]), (inputs[1].bytes, reach[1]), (outputs[0].bytes, math.prod(payload.extents))
    )


def _pad_call(payload: kernels.PadCall, inputs: Operands, outputs: Operands) -> str:
    padded = zip(payload.extents, payload.before, payload.after, strict=True)
    return _sizes(
        (inputs[0].bytes, math.prod(payload.extents)), (outputs[0].bytes, math.prod(sum(axis) for axis in padded))
    )


def _transpose_call(payload: kernels.TransposeCall, inputs: Operands, outputs: Operands) -> str:
    elements = math.prod(payload.extents)
    return _sizes((inputs[0].bytes, elements), (outputs[0].bytes, elements))


def _concat_call(payload: kernels.ConcatCall, inputs: Operands, outputs: Operands) -> str:
    sizes = tuple((tensor.bytes, payload.rows * run) for tensor, run in zip(inputs, payload.row_bytes, strict=True))
    return _sizes(*sizes, (outputs[0].bytes, payload.rows * sum(payload.row_bytes)))


def _softmax_call(payload: kernels.SoftmaxCall, inputs: Operands, outputs: Operands) -> str:
    elements = payload.rows * payload.depth
    return _sizes((inputs[0].bytes, elements), (outputs[0].bytes, elements))


def _lookup_call(payload: kernels.LookupCall, inputs: Operands, outputs: Operands) -> str:
    return _sizes((inputs[0].bytes, payload.count), (outputs[0].bytes, payload.count), (len(payload.table), 256))


def _quantize_call(payload: kernels.QuantizeCall, inputs: Operands, outputs: Operands) -> str:
    return _sizes((inputs[0].bytes, 4 * payload.count), (outputs[0].bytes, payload.count))


def _dequantize_call(payload: kernels.DequantizeCall, inputs: Operands, outputs: Operands) -> str:
    return _sizes((inputs[0].bytes, payload.count), (outputs[0].bytes, 4 * payload.count))


RULES: dict[type, Callable[[Any, Operands, Operands], str]] = {
    ir.Conv2D: _conv,
    ir.DepthwiseConv2D: _depthwise,
    ir.FullyConnected: _fully_connected,
    ir.Pool: _pool,
    ir.Mean: _mean,
    ir.Binary: _binary,
    ir.Pad: _pad,
    ir.Reshape: _reshape,
    ir.Transpose: _transpose,
    ir.Concat: _concat,
    ir.Softmax: _same_shape,
    ir.Unary: _same_elements,
    ir.Quantize: _same_elements,
    ir.Dequantize: _same_elements,
    ir.Opaque: _anything,
    kernels.ConvCall: _images,
    kernels.DepthwiseCall: _images,
    kernels.FullyConnectedCall: _fully_connected_call,
    kernels.PoolCall: _images,
    kernels.MeanCall: _mean_call,
    kernels.ElementwiseCall: _elementwise_call,
    kernels.PadCall: _pad_call,
    kernels.TransposeCall: _transpose_call,
    kernels.ConcatCall: _concat_call,
    kernels.SoftmaxCall: _softmax_call,
    kernels.LookupCall: _lookup_call,
    kernels.QuantizeCall: _quantize_call,
    kernels.DequantizeCall: _dequantize_call,
}
"""Payload -> what is wrong with it ("" for nothing), given its operands."""
