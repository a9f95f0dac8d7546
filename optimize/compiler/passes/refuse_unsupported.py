"""Refuse, by name and position, every operator that is needed but has no code, and every type that is not int8."""

from __future__ import annotations

from typing import get_args

from optimize.compiler.ir import (
    AddN,
    ArgPick,
    Binary,
    Cast,
    Concat,
    Conv2D,
    CumSum,
    DepthwiseConv2D,
    Dequantize,
    FloatFunction,
    FullyConnected,
    Graph,
    Known,
    Op,
    Opaque,
    Pad,
    Payload,
    Pick,
    Quantize,
    Rearrange,
    Reduce,
    Rescale,
    Reshape,
    Select,
    Softmax,
    Take,
    Tensor,
    Transpose,
    TransposeConv,
    Unary,
)
from optimize.compiler.kernels_values import Comparison, Logic
from optimize.compiler.operators.shaping import CAST_FROM, CAST_TO
from optimize.compiler.recurrent import Lstm, Svdf
from optimize.compiler.state import Copy
from optimize.errors import UnsupportedOperator

QUANTIZE_HINT = "convert the model with full int8 quantization (inference_input_type and output_type int8)"

NATURES = {
    "float32": ": a float32 model",
    "float16": ": a model with float16 weights",
    "int16": ": a model with 16-bit activations (16x8 quantization)",
    "int4": ": a model with 4-bit activations",
    "uint8": ": a uint8 model of TensorFlow 1",
}
HINTS = {
    "float32": QUANTIZE_HINT + ", with a representative_dataset",
    "float16": QUANTIZE_HINT + ", with a representative_dataset",
    "int16": "convert it with 8-bit activations: supported_ops TFLITE_BUILTINS_INT8, not "
    "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8; or run it with target cortex-m4f-tflm",
    "uint8": QUANTIZE_HINT + ", with the converter of TensorFlow 2",
}
"""Type -> what to do about a model that computes in it."""

FLOAT_HINT = "keep it in float between DEQUANTIZE and QUANTIZE: convert with TFLITE_BUILTINS allowed beside int8"

MOVABLE = ("int8", "uint8", "bool", "int16", "int32", "float32")
"""Types of operators that look at no value."""


def refuse_unsupported(graph: Graph) -> Graph:
    """Return ``graph`` unchanged.

    Raises:
        UnsupportedOperator: an operator has no code, or computes on other types than int8.
    """
    for op in graph.ops:
        if isinstance(op.payload, Opaque):
            raise UnsupportedOperator(f"{op.label}: {op.payload.reason}", hint=op.payload.hint)
        if isinstance(op.payload, FloatFunction):
            raise UnsupportedOperator(f"{op.label}: the TFLM interpreter has it for float32 only", hint=FLOAT_HINT)
        _check_types(graph, op)
    return graph


def _check_types(graph: Graph, op: Op) -> None:
    inputs, outputs = _allowed(op.payload)
    checks = [(index, inputs[min(place, len(inputs) - 1)]) for place, index in enumerate(op.inputs)]
    checks += [(index, outputs) for index in op.outputs]
    for index, allowed in checks:
        tensor = graph.tensors[index]
        if tensor.dtype not in allowed:
            raise UnsupportedOperator(
                f"{op.label}: tensor {index} ({tensor.short_name}) is {tensor.dtype}, supported is "
                f"{' or '.join(allowed)}{_nature(graph, op, tensor)}",
                hint=HINTS.get(tensor.dtype, QUANTIZE_HINT),
            )


def _nature(graph: Graph, op: Op, tensor: Tensor) -> str:
    """What kind of model has a tensor of that type where one of int8 is due; "" where that says nothing."""
    if tensor.dtype == "float32" and any(graph.tensors[index].dtype == "int8" for index in op.inputs):
        return ": a model with dynamic range quantization, only its weights are int8"
    return NATURES.get(tensor.dtype, "")


def _allowed(payload: Payload) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """(types of each input, the last standing for all that follow; types of the outputs)."""
    if isinstance(payload, Quantize):
        return (("float32",),), ("int8", "int16")
    if isinstance(payload, Dequantize):
        return (("int8", "uint8", "int16"),), ("float32",)
    if isinstance(payload, Rescale):
        return (("int8", "int16", "int32"),), ("int8", "int16", "int32")
    if isinstance(payload, Softmax):
        return (("int8",),), ("int8", "int16")
    if isinstance(payload, Reshape | Rearrange | Take | Copy | Concat | Transpose | Pad):
        return (MOVABLE,), MOVABLE
    if payload == Unary("requantize"):
        return (("int8", "uint8"),), ("int8", "uint8")
    if isinstance(payload, Binary) and payload.kind in get_args(Comparison):
        return (("int8", "bool") if payload.kind in ("equal", "not_equal") else ("int8",),), ("bool",)
    if isinstance(payload, Binary) and payload.kind in get_args(Logic):
        return (("bool",),), ("bool",)
    if payload == Unary("logical_not") or (isinstance(payload, Reduce) and payload.kind == "all"):
        return (("bool",),), ("bool",)
    if isinstance(payload, AddN | CumSum) or (isinstance(payload, Binary) and payload.kind == "div"):
        return (("int8", "float32"),), ("int8", "float32")
    if isinstance(payload, Pick):
        return (MOVABLE, ("int32",)), MOVABLE
    if isinstance(payload, Select):
        return (("bool",), MOVABLE), MOVABLE
    if isinstance(payload, ArgPick):
        return (("int8",),), ("int32",)
    if isinstance(payload, Svdf):
        return (("int8",), ("int8",), ("int8", "int16"), ("int8", "int16"), ("int32",)), ("int8", "int16")
    if isinstance(payload, Lstm):
        return (*[("int8",)] * 9, *[("int32",)] * 4, ("int8",), ("int16",)), ("int8", "int16")
    if isinstance(payload, Conv2D | DepthwiseConv2D | FullyConnected | TransposeConv):
        return (("int8",), ("int8",), ("int32",)), ("int8",)
    if isinstance(payload, Cast):
        return (CAST_FROM,), CAST_TO
    if isinstance(payload, Known):
        return (("int8",),), ()
    return (("int8",),), ("int8",)
