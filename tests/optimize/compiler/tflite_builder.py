"""Writes small .tflite files with the schema's own classes, without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s

DTYPES = {
    "int4": s.TensorType.INT4,
    "int8": s.TensorType.INT8,
    "uint8": s.TensorType.UINT8,
    "int16": s.TensorType.INT16,
    "int32": s.TensorType.INT32,
    "int64": s.TensorType.INT64,
    "bool": s.TensorType.BOOL,
    "float32": s.TensorType.FLOAT32,
    "resource": s.TensorType.RESOURCE,
}


class Builder:
    """Collects tensors and operators of one subgraph; tensor numbers are handed out in order."""

    def __init__(self) -> None:
        self.tensors: list[Any] = []
        self.buffers = [s.BufferT()]
        self.codes: list[int] = []
        self.operators: list[Any] = []
        self.variables: dict[int, np.ndarray[Any, Any]] = {}

    def tensor(
        self,
        shape: Sequence[int],
        dtype: str = "int8",
        *,
        scale: float | Sequence[float] | None = None,
        zero_point: int = 0,
        axis: int = 0,
        data: np.ndarray[Any, Any] | None = None,
        signature: Sequence[int] | None = None,
    ) -> int:
        tensor = s.TensorT()
        tensor.name = f"t{len(self.tensors)}"
        tensor.shape = list(shape)
        tensor.shapeSignature = None if signature is None else list(signature)
        tensor.type = DTYPES[dtype]
        tensor.buffer = 0
        if scale is not None:
            scales = [scale] if isinstance(scale, float) else list(scale)
            tensor.quantization = s.QuantizationParametersT()
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = [zero_point] * len(scales)
            tensor.quantization.quantizedDimension = axis
        if data is not None:
            tensor.buffer = len(self.buffers)
            buffer = s.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.buffers.append(buffer)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, values: Sequence[int], shape: Sequence[int] | None = None) -> int:
        data = np.array(values, np.int32)
        return self.tensor(data.shape if shape is None else shape, "int32", data=data)

    def op(self, name: str, inputs: Sequence[int], output: int | Sequence[int], options: Any = None) -> int:
        """Adds an operator; returns its first output, -1 where it has none."""
        code = getattr(s.BuiltinOperator, name)
        if code not in self.codes:
            self.codes.append(code)
        operator = _operator(self.codes.index(code), inputs, [output] if isinstance(output, int) else output, options)
        self.operators.append(operator)
        return int(operator.outputs[0]) if operator.outputs else -1

    def variable(self, initial: np.ndarray[Any, Any] | None = None) -> int:
        """The handle of a new resource variable, with its value before the first invocation where it has one."""
        handle = self.tensor((), "resource")
        self.op("VAR_HANDLE", [], handle, options("VarHandleOptions", container="", sharedName=f"v{handle}"))
        if initial is not None:
            self.variables[handle] = initial
        return handle

    def build(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        graph = s.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = list(inputs), list(outputs)
        model = s.ModelT()
        model.version = 3
        model.description = "test"
        model.subgraphs = [graph, self._initialisation()] if self.variables else [graph]
        model.operatorCodes = [_operator_code(code) for code in self.codes]
        model.buffers = self.buffers
        packer = flatbuffers.Builder(1024)
        packer.Finish(model.Pack(packer), b"TFL3")
        return bytes(packer.Output())

    def _initialisation(self) -> Any:
        """A subgraph that assigns the initial values, which the first operator of the main one calls once."""
        self.op("CALL_ONCE", [], [], options("CallOnceOptions", initSubgraphIndex=1))
        self.operators.insert(0, self.operators.pop())
        other = Builder()
        other.buffers, other.codes = self.buffers, self.codes
        for handle, initial in self.variables.items():
            inner = other.tensor((), "resource")
            table = options("VarHandleOptions", container="", sharedName=f"v{handle}")
            other.op("VAR_HANDLE", [], inner, table)
            value = other.tensor(initial.shape, scale=1.0, data=initial)
            other.op("ASSIGN_VARIABLE", [inner, value], [], options("AssignVariableOptions"))
        graph = s.SubGraphT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = other.tensors, other.operators, [], []
        return graph


def _operator(code: int, inputs: Sequence[int], outputs: Sequence[int], options: Any) -> Any:
    operator = s.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, list(inputs), list(outputs)
    if options is not None:
        operator.builtinOptionsType = getattr(s.BuiltinOptions, type(options).__name__[:-1])
        operator.builtinOptions = options
    return operator


def _operator_code(code: int) -> Any:
    operator_code = s.OperatorCodeT()
    operator_code.builtinCode = code
    operator_code.deprecatedBuiltinCode = min(code, 127)
    operator_code.version = 1
    return operator_code


def options(kind: str, **fields: Any) -> Any:
    """Options of one operator: ``options("Conv2DOptions", strideH=1)``."""
    table = getattr(s, f"{kind}T")()
    for name, value in fields.items():
        assert hasattr(table, name), name
        setattr(table, name, value)
    return table


def small_model() -> bytes:
    """Convolution, pooling, fully connected, softmax on 6x6x2: the model of the golden file and of the fuzz tests."""
    rng = np.random.default_rng(7)
    b = Builder()
    x = b.tensor((1, 6, 6, 2), scale=0.05, zero_point=-3, signature=(-1, 6, 6, 2))
    weights = b.tensor(
        (3, 3, 3, 2), scale=[0.01, 0.02, 0.015], data=rng.integers(-127, 128, (3, 3, 3, 2)).astype(np.int8)
    )
    bias = b.tensor((3,), "int32", scale=[0.0005, 0.001, 0.00075], data=np.array([100, -200, 300], np.int32))
    y = b.tensor((1, 3, 3, 3), scale=0.1, zero_point=-128)
    b.op(
        "CONV_2D",
        [x, weights, bias],
        y,
        options(
            "Conv2DOptions",
            strideH=2,
            strideW=2,
            dilationHFactor=1,
            dilationWFactor=1,
            fusedActivationFunction=s.ActivationFunctionType.RELU,
        ),
    )
    pooled = b.op(
        "MAX_POOL_2D",
        [y],
        b.tensor((1, 1, 1, 3), scale=0.1, zero_point=-128),
        options("Pool2DOptions", padding=1, filterHeight=3, filterWidth=3, strideH=3, strideW=3),
    )
    flat = b.op("RESHAPE", [pooled, b.constant([-1, 3])], b.tensor((1, 3), scale=0.1, zero_point=-128))
    fc_weights = b.tensor((4, 3), scale=0.02, data=rng.integers(-127, 128, (4, 3)).astype(np.int8))
    logits = b.op(
        "FULLY_CONNECTED",
        [flat, fc_weights],
        b.tensor((1, 4), scale=0.08, zero_point=5),
        options("FullyConnectedOptions"),
    )
    b.op("SOFTMAX", [logits], b.tensor((1, 4), scale=1 / 256, zero_point=-128), options("SoftmaxOptions", beta=1.0))
    return b.build([x], [len(b.tensors) - 1])
