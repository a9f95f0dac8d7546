"""``.tflite`` bytes -> ``Graph``.

Whatever the bytes are, the result is a graph or an ``InvalidModel`` / ``UnsupportedOperator``; nothing is read outside
them and the work is bounded by the limits below. What each operator means is read in ``operators/``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimize.compiler import schema
from optimize.compiler.flatbuffer import LIMIT_HINT, TRUNCATED_HINT, Table, root_table
from optimize.compiler.folding import fold
from optimize.compiler.ir import Graph, Op, Opaque, Quant, Tensor
from optimize.compiler.operators import RULES, read_payload
from optimize.compiler.operators.context import MAX_OPERANDS
from optimize.compiler.recurrent import RECURRENT, adopt_variable_tensors, read_recurrent
from optimize.compiler.subgraphs import called_once, refuse_other_subgraphs
from optimize.compiler.variables import VARIABLE_OPERATORS, read_variable_op, resolve_variables
from optimize.errors import InvalidModel


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that keep a hostile file from costing time or memory; far above anything a microcontroller holds."""

    subgraphs: int = 1_000
    tensors: int = 10_000
    operators: int = 2_000
    operator_codes: int = 1_000
    operands: int = MAX_OPERANDS
    all_operands: int = 100_000
    rank: int = 8
    channels: int = 65_536
    scales: int = 1_000_000
    tensor_bytes: int = 64 * 1024 * 1024
    constant_bytes: int = 64 * 1024 * 1024


LIMITS = Limits()


def read_tflite(model: bytes) -> Graph:
    """Read the first subgraph of a ``.tflite`` file, with the initial state that other subgraphs may compute.

    Raises:
        InvalidModel: the file is truncated, garbled, inconsistent, or has no subgraph or some that nothing calls.
        UnsupportedOperator: an option of a known operator has a value the compiler has no code for, or an operator
            runs another subgraph in any other way than to initialise variables.
    """
    root = root_table(model, schema.IDENTIFIER)
    version = root.u32(schema.Model.VERSION)
    if version != schema.SCHEMA_VERSION:
        raise InvalidModel(f"schema version {version}, expected {schema.SCHEMA_VERSION}", hint=TRUNCATED_HINT)
    subgraphs = root.tables(schema.Model.SUBGRAPHS, limit=LIMITS.subgraphs, what="subgraphs")
    if not subgraphs:
        raise InvalidModel("the file holds no subgraph", hint=TRUNCATED_HINT)
    constants, codes = _Constants(root), _operator_codes(root)
    main = _read_subgraph(subgraphs[0], constants, codes)
    once = {index: _read_subgraph(subgraphs[index], constants, codes) for index in called_once(main, len(subgraphs))}
    refuse_other_subgraphs(main, len(subgraphs) - 1 - len(once))
    return adopt_variable_tensors(resolve_variables(main, once))


def _read_subgraph(subgraph: Table, constants: _Constants, codes: tuple[str, ...]) -> Graph:
    tensors = list(constants.read_tensors(subgraph))
    count = len(tensors)
    tables = subgraph.tables(schema.SubGraph.OPERATORS, limit=LIMITS.operators, what="operators")
    ops = tuple(_read_ops(tables, codes, tensors))
    return Graph(
        tensors=tuple(tensors),
        ops=ops,
        inputs=_indices(subgraph, schema.SubGraph.INPUTS, count, "graph inputs"),
        outputs=_indices(subgraph, schema.SubGraph.OUTPUTS, count, "graph outputs"),
    )


def _operator_codes(root: Table) -> tuple[str, ...]:
    tables = root.tables(schema.Model.OPERATOR_CODES, limit=LIMITS.operator_codes, what="operator codes")
    return tuple(_operator_name(table) for table in tables)


def _operator_name(table: Table) -> str:
    # Files written before 2020 hold the code in an int8; newer ones put 127 there for codes that do not fit.
    code = max(table.i8(schema.OperatorCode.DEPRECATED_BUILTIN_CODE), table.i32(schema.OperatorCode.BUILTIN_CODE))
    if not 0 <= code < len(schema.OPERATOR_NAMES):
        raise InvalidModel(f"operator code {code} is not in the schema", hint=TRUNCATED_HINT)
    name = schema.OPERATOR_NAMES[code]
    return f"CUSTOM {table.text(schema.OperatorCode.CUSTOM_CODE)!r}" if name == "CUSTOM" else name


class _Constants:
    """Reads tensors and the constant data they point to, each buffer once."""

    def __init__(self, root: Table) -> None:
        self._buffers = root.tables(schema.Model.BUFFERS, limit=10 * LIMITS.tensors, what="buffers")
        self._data: dict[int, bytes] = {}
        self._unpacked: dict[tuple[int, int], bytes] = {}
        self._total = 0
        self._scales = 0

    def read_tensors(self, subgraph: Table) -> tuple[Tensor, ...]:
        tables = subgraph.tables(schema.SubGraph.TENSORS, limit=LIMITS.tensors, what="tensors")
        inputs = frozenset(subgraph.i32s(schema.SubGraph.INPUTS, limit=LIMITS.operands, what="graph inputs"))
        return tuple(self._read(index, table, index in inputs) for index, table in enumerate(tables))

    def _read(self, index: int, table: Table, is_input: bool) -> Tensor:
        name = table.text(schema.Tensor.NAME) or f"tensor_{index}"
        label = f"tensor {index} ({name})"
        code = table.u8(schema.Tensor.TYPE)
        if code >= len(schema.TYPE_NAMES):
            raise InvalidModel(f"{label}: type code {code} is not in the schema", hint=TRUNCATED_HINT)
        if table.has(schema.Tensor.SPARSITY):
            raise InvalidModel(f"{label}: sparse tensors are not supported", hint="export it dense")
        dtype = schema.TYPE_NAMES[code]
        shape, is_open = _read_shape(table, label, is_input)
        size = math.prod(shape) * schema.TYPE_BYTES.get(dtype, 1)
        if size > LIMITS.tensor_bytes:
            raise InvalidModel(
                f"{label}: {size} bytes, more than the {LIMITS.tensor_bytes} the compiler takes",
                hint="no microcontroller holds this; check the tensor's shape",
            )
        data = self._constant(table, label, size) if dtype in schema.TYPE_BYTES else None
        if dtype == "INT4" and (data := self._int4(table, label, size)) is not None:
            dtype = "INT8"  # as the interpreter unpacks weights before it uses them
        is_open = is_open and not is_input and data is None
        quant, variable = self._quant(table, label), table.flag(schema.Tensor.IS_VARIABLE)
        if variable and data is not None:  # LiteRT refuses it, TFLM forgets the values
            raise InvalidModel(f"{label}: a variable tensor with values", hint=TRUNCATED_HINT)
        return Tensor(name, shape, dtype.lower(), quant, data, open_shape=is_open, variable=variable)

    def _quant(self, table: Table, label: str) -> Quant | None:
        """Quantization parameters; a small file may point to one long vector from thousands of tensors."""
        quant = _read_quant(table, label)
        self._scales += 0 if quant is None else len(quant.scales)
        if self._scales > LIMITS.scales:
            raise InvalidModel(f"{label}: more than {LIMITS.scales} scales in one file", hint=TRUNCATED_HINT)
        return quant

    def _constant(self, table: Table, label: str, size: int) -> bytes | None:
        """The bytes of a constant tensor, None where its buffer is empty (a value computed at run time)."""
        index = table.u32(schema.Tensor.BUFFER)
        if index >= len(self._buffers):
            raise InvalidModel(f"{label}: buffer {index} does not exist", hint=TRUNCATED_HINT)
        if self._buffers[index].u64(schema.Buffer.OFFSET) > 1:
            raise InvalidModel(f"{label}: data outside the FlatBuffer is not supported", hint="export under 2 GB")
        blob = self._buffers[index].blob(schema.Buffer.DATA)
        if len(blob) == 0:
            return None
        if len(blob) != size:
            raise InvalidModel(f"{label}: {len(blob)} bytes of data for {size} bytes", hint=TRUNCATED_HINT)
        if index not in self._data:
            self._count(size)
            self._data[index] = bytes(blob)
        return self._data[index]

    def _int4(self, table: Table, label: str, count: int) -> bytes | None:
        """The bytes of a constant of ``count`` int4, two to a byte with the lower one first, as int8."""
        packed, key = self._constant(table, label, (count + 1) // 2), (table.u32(schema.Tensor.BUFFER), count)
        if packed is not None and key not in self._unpacked:
            self._count(count)
            pairs = np.frombuffer(packed, np.int8)
            self._unpacked[key] = np.stack([pairs << 4 >> 4, pairs >> 4], axis=1).ravel()[:count].tobytes()
        return self._unpacked[key] if packed is not None else None

    def _count(self, size: int) -> None:
        self._total += size
        if self._total > LIMITS.constant_bytes:
            raise InvalidModel(f"more than {LIMITS.constant_bytes} bytes of constants", hint=TRUNCATED_HINT)


def _read_shape(table: Table, label: str, is_input: bool) -> tuple[tuple[int, ...], bool]:
    """(shape with ones for what is open, whether anything is)."""
    shape = table.i32s(schema.Tensor.SHAPE, limit=LIMITS.rank, what=f"shape of {label}")
    signature = table.i32s(schema.Tensor.SHAPE_SIGNATURE, limit=LIMITS.rank, what=f"shape of {label}")
    if len(signature) != len(shape) or any(a not in (-1, b) for a, b in zip(signature, shape, strict=True)):
        signature = ()  # it contradicts the shape, which is what the interpreter goes by
    # A batch left open compiles as a batch of one; every other open size of an input would have to be guessed.
    open_sizes = [axis for axis, size in enumerate(signature or shape) if size == -1]
    if is_input and any(axis != 0 for axis in open_sizes):
        raise InvalidModel(
            f"{label}: shape {list(signature or shape)} is open on an axis that is not the batch",
            hint="export the model with a fixed input shape",
        )
    shape = tuple(1 if size == -1 and (axis == 0 or not is_input) else size for axis, size in enumerate(shape))
    if any(size < 0 for size in shape):
        raise InvalidModel(f"{label}: shape {list(shape)} has a negative size", hint=TRUNCATED_HINT)
    return shape, bool(open_sizes)


def _read_quant(table: Table, label: str) -> Quant | None:
    params = table.table(schema.Tensor.QUANTIZATION)
    if params is None:
        return None
    fields = schema.QuantizationParameters
    scales = params.f32s(fields.SCALE, limit=LIMITS.channels, what=f"scales of {label}")
    zero_points = params.i64s(fields.ZERO_POINT, limit=LIMITS.channels, what=f"zero points of {label}")
    if not scales:
        return None
    if len(zero_points) != len(scales):
        raise InvalidModel(f"{label}: {len(scales)} scales but {len(zero_points)} zero points", hint=TRUNCATED_HINT)
    if not all(math.isfinite(scale) and scale > 0 for scale in scales):
        raise InvalidModel(f"{label}: a scale is not a positive number", hint=TRUNCATED_HINT)
    return Quant(scales, zero_points, params.i32(fields.QUANTIZED_DIMENSION))


def _indices(table: Table, field: int, count: int, what: str, *, optional: bool = False) -> tuple[int, ...]:
    """Tensor numbers; where ``optional``, operands left out (-1) are dropped."""
    values = table.i32s(field, limit=LIMITS.operands, what=what)
    if optional:
        values = tuple(value for value in values if value != -1)
    for value in values:
        if not 0 <= value < count:
            raise InvalidModel(f"{what}: tensor {value} does not exist", hint=TRUNCATED_HINT)
    return values


def _read_ops(tables: list[Table], codes: tuple[str, ...], tensors: list[Tensor]) -> Iterator[Op]:
    """The operators in order, but for those whose result is constant: that goes into ``tensors``."""
    operands = 0
    for position, table in enumerate(tables):
        op = _read_op(position, table, codes, tensors)
        operands += len(op.inputs) + len(op.outputs)  # a small file may point to one long vector from every operator
        if operands > LIMITS.all_operands:
            raise InvalidModel(f"{op.label}: more than {LIMITS.all_operands} operands in one graph", hint=LIMIT_HINT)
        folded = fold(op, tensors)
        if folded is None:
            yield op
        else:
            tensors[op.outputs[0]] = replace(tensors[op.outputs[0]], data=folded)


def _settle(tensor: Tensor, shape: tuple[int, ...], label: str) -> Tensor:
    """A tensor whose open shape is known now."""
    if (
        min(shape, default=1) < 1
        or math.prod(shape) * schema.TYPE_BYTES.get(tensor.dtype.upper(), 1) > LIMITS.tensor_bytes
    ):
        raise InvalidModel(f"{label}: a result of shape {list(shape)}", hint=TRUNCATED_HINT)
    return replace(tensor, shape=shape, open_shape=False)


def _read_op(position: int, table: Table, codes: tuple[str, ...], tensors: list[Tensor]) -> Op:
    code = table.u32(schema.Operator.OPCODE_INDEX)
    if code >= len(codes):
        raise InvalidModel(f"operator {position}: operator code {code} does not exist", hint=TRUNCATED_HINT)
    label = f"operator {position} ({codes[code]})"
    # A bias may be left out; what the compiler has no code for may leave out anything.
    optional = codes[code] in OPTIONAL_BIAS or codes[code] not in RULES
    inputs = _indices(table, schema.Operator.INPUTS, len(tensors), f"inputs of {label}", optional=optional)
    outputs = _indices(table, schema.Operator.OUTPUTS, len(tensors), f"outputs of {label}")
    _refuse_empty(label, tensors, (*inputs, *outputs))
    if codes[code] in VARIABLE_OPERATORS:
        variable_op = read_variable_op(codes[code], label, table, len(inputs), len(outputs))
        return Op(position, codes[code], variable_op, inputs, outputs)
    if codes[code] in RECURRENT:
        places = table.i32s(schema.Operator.INPUTS, limit=LIMITS.operands, what=f"inputs of {label}")
        return read_recurrent(Op(position, codes[code], Opaque("", ""), inputs, outputs), table, places)
    operands = tuple(tensors[i] for i in inputs), tuple(tensors[i] for i in outputs)
    payload, places, settled = read_payload(codes[code], label, table, *operands)
    for place, shape in settled.items():
        tensors[outputs[place]] = _settle(tensors[outputs[place]], shape, label)
    return Op(position, codes[code], payload, tuple(inputs[place] for place in places), outputs)


def _refuse_empty(label: str, tensors: Sequence[Tensor], operands: Sequence[int]) -> None:
    """A file may hold tensors without values (what a quantizer noted beside an LSTM); nothing computes on them."""
    for index in operands:
        if index >= 0 and tensors[index].elements == 0:
            raise InvalidModel(
                f"{label}: tensor {index} ({tensors[index].name}) has shape {list(tensors[index].shape)}",
                hint="export the model with a fixed input shape",
            )


OPTIONAL_BIAS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})
