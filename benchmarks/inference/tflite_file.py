"""What a ``.tflite`` file says of itself, read with the schema's own classes: operators, inputs, outputs.

The benchmark must not judge Flota's reader by Flota's reader, so nothing of ``optimize`` is used here. The schema's
Python classes check nothing: call these functions on unknown bytes only in a process that may die (``reference.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

_BUILTINS = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int) and name.isupper()
}
_NUMPY = {
    "FLOAT32": "float32",
    "INT32": "int32",
    "UINT8": "uint8",
    "INT64": "int64",
    "BOOL": "bool",
    "INT16": "int16",
    "INT8": "int8",
}
_TYPES = {code: name for name, code in vars(schema.TensorType).items() if isinstance(code, int)}


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output: NumPy type name, shape with an open batch as 1, quantization (scale 0: none)."""

    dtype: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class Signature:
    """What an interpreter must provide for a model.

    ``builtins`` and ``customs`` are names of operators, sorted; ``int8_builtins`` those that work on int8 alone (with
    int32 biases and sizes) wherever they occur. ``variables`` counts the resource variables.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    builtins: tuple[str, ...]
    int8_builtins: tuple[str, ...]
    customs: tuple[str, ...]
    variables: int


def read_signature(model: bytes) -> Signature:
    """The signature of a model; for bytes that are none, any exception."""
    root = _unpack(model)
    main = root.subgraphs[0]
    operators = [(graph, op) for graph in root.subgraphs for op in _listed(graph.operators)]
    codes = {_code(root, op) for _, op in operators}
    mixed = {_code(root, op) for graph, op in operators if not _is_int8(graph, op)}
    custom = schema.BuiltinOperator.CUSTOM
    names = {root.operatorCodes[op.opcodeIndex].customCode for _, op in operators if _code(root, op) == custom}
    handles = [op for _, op in operators if _code(root, op) == schema.BuiltinOperator.VAR_HANDLE]
    return Signature(
        inputs=tuple(_info(main.tensors[int(index)]) for index in _listed(main.inputs)),
        outputs=tuple(_info(main.tensors[int(index)]) for index in _listed(main.outputs)),
        builtins=tuple(sorted(_BUILTINS[code] for code in codes - {custom})),
        int8_builtins=tuple(sorted(_BUILTINS[code] for code in codes - mixed - {custom})),
        customs=tuple(sorted(name.decode() for name in names if name)),
        variables=len({op.builtinOptions.sharedName for op in handles if op.builtinOptions is not None}),
    )


def simplified(model: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The same model in a form that a strict importer takes, and what was changed, in words.

    Open batches are closed to 1, empty options of a reshape are filled in, and a final softmax is cut off. Only peers
    that refuse the model as exported get it, with a reference of its own.
    """
    root = _unpack(model)
    main = root.subgraphs[0]
    changes = [_close_batches(main), _fill_reshapes(root, main), _cut_softmax(root, main)]
    packer = flatbuffers.Builder(len(model))
    packer.Finish(root.Pack(packer), b"TFL3")
    return bytes(packer.Output()), tuple(change for change in changes if change)


def _unpack(model: bytes) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))


def _listed(values: Any) -> list[Any]:
    return [] if values is None else list(values)


def _code(root: Any, operator: Any) -> int:
    # Files written before 2020 hold the code in the deprecated int8 field only.
    code = root.operatorCodes[operator.opcodeIndex]
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def _is_int8(graph: Any, operator: Any) -> bool:
    operands = [int(index) for index in (*_listed(operator.inputs), *_listed(operator.outputs)) if int(index) >= 0]
    types = {graph.tensors[index].type for index in operands}
    results = {graph.tensors[int(index)].type for index in _listed(operator.outputs)}
    return results == {schema.TensorType.INT8} and types <= {schema.TensorType.INT8, schema.TensorType.INT32}


def _info(tensor: Any) -> TensorInfo:
    quantization = tensor.quantization
    scales = _listed(quantization.scale) if quantization is not None else []
    zeros = _listed(quantization.zeroPoint) if quantization is not None else []
    shape = tuple(max(int(size), 1) for size in _listed(tensor.shape))
    name = _TYPES.get(tensor.type, "?")
    return TensorInfo(
        _NUMPY.get(name, name.lower()), shape, float(scales[0]) if scales else 0.0, int(zeros[0]) if zeros else 0
    )


def _close_batches(main: Any) -> str:
    is_open = [tensor for tensor in main.tensors if -1 in [int(size) for size in _listed(tensor.shapeSignature)]]
    for tensor in main.tensors:
        tensor.shapeSignature = None
    return "with its open batch closed" if is_open else ""


def _fill_reshapes(root: Any, main: Any) -> str:
    empty = [
        op
        for op in _listed(main.operators)
        if _code(root, op) == schema.BuiltinOperator.RESHAPE and op.builtinOptions is None
    ]
    for op in empty:
        op.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
        op.builtinOptions = schema.ReshapeOptionsT()
        op.builtinOptions.newShape = [int(size) for size in main.tensors[op.outputs[0]].shape]
    return "its reshape options filled in" if empty else ""


def _cut_softmax(root: Any, main: Any) -> str:
    last = main.operators[-1]
    if _code(root, last) != schema.BuiltinOperator.SOFTMAX or _listed(main.outputs) != _listed(last.outputs):
        return ""
    main.operators = main.operators[:-1]
    main.outputs = [int(last.inputs[0])]
    return "without its final SOFTMAX"
