"""Mutations of ``.tflite`` files that know the format, so that most results get past the first check of the reader.

``patch`` changes numbers where they stand (shapes, operands, scales, options, lengths of vectors, constants) and works
on damaged files too; ``rebuild`` unpacks a sound file, edits its objects (operators, tensors, options, buffers) and
packs it again; ``scramble`` flips bits and cuts. ``mutate`` mixes them.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s

from optimize.compiler import schema
from optimize.compiler.flatbuffer import Table, root_table
from optimize.compiler.operators import RULES
from optimize.errors import InvalidModel

WALK_LIMIT = 200
"""Entries of one vector that are walked; numbers further on are reached by bit flips only."""
MAX_REBUILD_BYTES = 64 * 1024

INTEGERS = (0, 1, 2, 3, 4, 5, 7, 16, 127, 128, 255, 256, 4096, 4097, 65535, 65536, 1 << 20, 1 << 26, 1 << 30, 2**31 - 1)
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1 / 128, 1 / 256, 2.0**-27, 1e-45, 1e-38, 3e38, 1e-20, 1e20, 16.0)
NOT_NUMBERS = (float("nan"), float("inf"), float("-inf"))


@dataclass(frozen=True)
class Number:
    """A number inside the file: where it stands and how ``struct`` writes it."""

    position: int
    code: str

    def read(self, data: bytes | bytearray) -> float:
        return struct.unpack_from(f"<{self.code}", data, self.position)[0]

    def write(self, data: bytearray, value: float) -> None:
        if self.code != "f":
            bits = 8 * struct.calcsize(f"<{self.code}")
            value = (int(value) + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
        struct.pack_into(f"<{self.code}", data, self.position, value)


Layout = dict[int, Any]
"""Field number -> "b", "i", "q", "f" (a number), "[i" … (a vector of them), or a layout / [layout] of tables below."""

_ANY_OPTIONS: Layout = dict.fromkeys(range(10), "option")
_QUANT: Layout = {2: "[f", 3: "[q", 4: "b", 6: "i"}
_TENSOR: Layout = {0: "[i", 1: "b", 2: "i", 4: _QUANT, 5: "b", 7: "[i"}
_OPERATOR: Layout = {0: "i", 1: "[i", 2: "[i", 3: "b", 4: _ANY_OPTIONS}
_SUBGRAPH: Layout = {0: [_TENSOR], 1: "[i", 2: "[i", 3: [_OPERATOR]}
_MODEL: Layout = {0: "i", 1: [{0: "b", 3: "i"}], 2: [_SUBGRAPH], 4: [{0: "[b", 1: "q", 2: "q"}]}


def mutate(model: bytes, rng: random.Random) -> bytes:
    """One to four mutations of any kind."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        model = rng.choice((patch, patch, patch, rebuild, rebuild, scramble))(model, rng)
    return model


def patch(model: bytes, rng: random.Random) -> bytes:
    """One to three numbers of the file replaced, by extremes, neighbours, or each other."""
    numbers = list(_numbers(model))
    if not numbers:
        return scramble(model, rng)
    data = bytearray(model)
    for _ in range(rng.choice((1, 1, 2, 3))):
        number = rng.choice(numbers)
        number.write(data, _other_value(number, data, numbers, rng))
    return bytes(data)


def _other_value(number: Number, data: bytearray, numbers: list[Number], rng: random.Random) -> float:
    old, kind = number.read(data), rng.randrange(5)
    if kind == 0:
        swapped = rng.choice([n for n in numbers if n.code == number.code])
        value = swapped.read(data)
        swapped.write(data, old)
        return value
    if number.code == "f":
        return rng.choice((*FLOATS, *NOT_NUMBERS)) if kind < 3 else old / 2
    if kind == 1:
        return int(old) + rng.choice((-1, 1, 2, -2, 128))
    return -rng.choice(INTEGERS) if kind == 2 else rng.choice(INTEGERS)


def _numbers(model: bytes) -> Iterator[Number]:
    """The numbers that can be reached in the file; those behind damage are left out."""
    try:
        root = root_table(model, schema.IDENTIFIER)
    except InvalidModel:
        return
    yield from _walk(root, _MODEL)


def _walk(table: Table, layout: Layout) -> Iterator[Number]:
    for field, kind in layout.items():
        try:
            if not table.has(field):
                continue
            found = list(_field(table, field, kind))
        except InvalidModel:
            continue
        yield from found


def _field(table: Table, field: int, kind: Any) -> Iterator[Number]:
    if isinstance(kind, dict):
        below = table.table(field)
        if below is not None:
            yield from _walk(below, kind)
    elif isinstance(kind, list):
        for below in table.tables(field, limit=WALK_LIMIT, what="tables"):
            yield from _walk(below, kind[0])
    else:
        yield from _plain(table, field, kind)


def _plain(table: Table, field: int, kind: str) -> Iterator[Number]:
    position = table._locate(field)
    assert position is not None
    codes = ("b", "i", "f") if kind == "option" else (kind.strip("["),)
    if kind.startswith("["):
        start, count = table._vector(field, struct.calcsize(codes[0]), len(table.buffer), "numbers")
        yield Number(start - 4, "i")
        step = struct.calcsize(f"<{codes[0]}")
        yield from (Number(start + i * step, codes[0]) for i in range(min(count, WALK_LIMIT)))
        return
    yield from (Number(position, c) for c in codes if position + struct.calcsize(f"<{c}") <= len(table.buffer))


def scramble(model: bytes, rng: random.Random) -> bytes:
    """Bits flipped, a word replaced, or the file cut."""
    data = bytearray(model)
    if not data:
        return bytes(rng.randrange(256) for _ in range(32))
    kind = rng.randrange(4)
    if kind == 0:
        del data[rng.randrange(len(data)) :]
    elif kind == 1:
        place = rng.randrange(len(data)) & ~3
        data[place : place + 4] = struct.pack("<i", rng.choice((-1, 1, -(2**31), *INTEGERS)))
    else:
        for _ in range(rng.choice((1, 2, 8))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def rebuild(model: bytes, rng: random.Random) -> bytes:
    """One to three edits of the unpacked model; the model as it is where it cannot be unpacked."""
    if len(model) > MAX_REBUILD_BYTES:
        return patch(model, rng)
    try:
        unpacked = s.ModelT.InitFromObj(s.Model.GetRootAs(model, 0))
        graph = unpacked.subgraphs[0]
        for _ in range(rng.choice((1, 1, 2, 3))):
            rng.choice(EDITS)(unpacked, graph, rng)
        packer = flatbuffers.Builder(len(model))
        packer.Finish(unpacked.Pack(packer), schema.IDENTIFIER)
    except Exception:  # the generated classes trust their input and raise anything on a damaged file
        return patch(model, rng)
    return bytes(packer.Output())


def _an_operator(graph: Any, rng: random.Random) -> Any:
    return rng.choice(graph.operators)


def _rewire(model: Any, graph: Any, rng: random.Random) -> None:
    operator = _an_operator(graph, rng)
    operands = list(rng.choice((operator.inputs, operator.outputs)))
    tensor = rng.choice((rng.randrange(len(graph.tensors)), rng.randrange(len(graph.tensors)), -1, len(graph.tensors)))
    kind = rng.randrange(3)
    if kind == 0 or not operands:
        operands.append(tensor)
    elif kind == 1:
        operands.pop()
    else:
        operands[rng.randrange(len(operands))] = tensor
    name = rng.choice(("inputs", "inputs", "outputs"))
    setattr(operator, name, operands)


def _reorder(model: Any, graph: Any, rng: random.Random) -> None:
    operators = graph.operators
    place, other = rng.randrange(len(operators)), rng.randrange(len(operators))
    kind = rng.randrange(3)
    if kind == 0:
        operators[place], operators[other] = operators[other], operators[place]
    elif kind == 1:
        operators.insert(place, operators[other])
    else:
        del operators[place]


def _chain(model: Any, graph: Any, rng: random.Random) -> None:
    """A copy of an operator that reads its own result, into a tensor like its first output."""
    operator = _an_operator(graph, rng)
    old = operator.outputs[0]
    graph.tensors.append(graph.tensors[old])
    copy = s.OperatorT()
    copy.opcodeIndex, copy.builtinOptions = operator.opcodeIndex, operator.builtinOptions
    copy.builtinOptionsType = operator.builtinOptionsType
    copy.inputs, copy.outputs = [old, *list(operator.inputs)[1:]], [len(graph.tensors) - 1]
    graph.operators.append(copy)
    graph.outputs = [*graph.outputs, len(graph.tensors) - 1]


def _ends(model: Any, graph: Any, rng: random.Random) -> None:
    name = rng.choice(("inputs", "outputs"))
    values = list(getattr(graph, name))
    if values and rng.random() < 0.4:
        values.pop(rng.randrange(len(values)))
    else:
        values.append(rng.randrange(len(graph.tensors)))
    setattr(graph, name, values)


def _operator_code(model: Any, graph: Any, rng: random.Random) -> None:
    """Another operator, mostly one the compiler knows, with options of its kind."""
    names = schema.OPERATOR_NAMES if rng.random() < 0.1 else tuple(RULES)
    name = rng.choice(names)
    code = s.OperatorCodeT()
    code.builtinCode = schema.OPERATOR_NAMES.index(name) if name in schema.OPERATOR_NAMES else 0
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    model.operatorCodes.append(code)
    operator = _an_operator(graph, rng)
    operator.opcodeIndex = len(model.operatorCodes) - 1
    kind = RULES[name].options_type if name in RULES else 0
    operator.builtinOptionsType, operator.builtinOptions = kind, _new_options(kind)


def _new_options(kind: int) -> Any:
    if kind == 0:
        return None
    name = next(name for name, value in vars(s.BuiltinOptions).items() if value == kind)
    table = getattr(s, f"{name}T")()
    for field in vars(table):
        if field.startswith(("stride", "filter", "dilation", "depth")):
            setattr(table, field, 1)
    return table


def _option(model: Any, graph: Any, rng: random.Random) -> None:
    options = _an_operator(graph, rng).builtinOptions
    fields = [field for field, value in vars(options).items() if isinstance(value, int | float)] if options else []
    if fields:
        field = rng.choice(fields)
        old = getattr(options, field)
        new: Any = rng.choice((0, 1, 2, 3, -1, 5, 7, 100)) if rng.random() < 0.8 else rng.choice(FLOATS)
        setattr(options, field, type(old)(new))


def _no_options(model: Any, graph: Any, rng: random.Random) -> None:
    operator = _an_operator(graph, rng)
    operator.builtinOptions = None
    operator.builtinOptionsType = rng.choice((0, operator.builtinOptionsType))


def _shape(model: Any, graph: Any, rng: random.Random) -> None:
    tensor = rng.choice(graph.tensors)
    shape = [] if tensor.shape is None else [int(size) for size in tensor.shape]
    kind = rng.randrange(5)
    if kind == 0 or not shape:
        shape.insert(rng.randrange(len(shape) + 1), rng.choice((1, 1, 2, 0, -1, 1 << 16)))
    elif kind == 1:
        shape.pop(rng.randrange(len(shape)))
    elif kind == 2:
        rng.shuffle(shape)
    else:
        shape[rng.randrange(len(shape))] = rng.choice((*INTEGERS, -1))
    tensor.shape = shape


def _signature(model: Any, graph: Any, rng: random.Random) -> None:
    tensor = rng.choice(graph.tensors)
    tensor.shapeSignature = rng.choice((None, [-1, 4], [int(x) for x in tensor.shape or ()], [-1] * 4))


def _type(model: Any, graph: Any, rng: random.Random) -> None:
    tensor = rng.choice(graph.tensors)
    if rng.random() < 0.2:
        tensor.isVariable = not tensor.isVariable
    else:
        tensor.type = rng.choice((0, 2, 3, 4, 6, 7, 9, 9, 13, rng.randrange(24)))


def _quantization(model: Any, graph: Any, rng: random.Random) -> None:
    """Per tensor, per channel, of the wrong length, or none."""
    tensor = rng.choice(graph.tensors)
    if rng.random() < 0.2:
        tensor.quantization = None
        return
    count = rng.choice((1, 1, 2, *[int(size) for size in tensor.shape or () if 0 < size < 200]))
    params = s.QuantizationParametersT()
    params.scale = [rng.choice((0.1, 0.02, 0.5, *FLOATS)) for _ in range(count)]
    zero = rng.choice((0, 0, -128, 127, 128, rng.randrange(-(2**40), 2**40)))
    params.zeroPoint = rng.choice(([zero] * count, [zero], None))
    params.quantizedDimension = rng.choice((0, 1, 3, -1, 100))
    tensor.quantization = params


def _buffer(model: Any, graph: Any, rng: random.Random) -> None:
    """Another buffer for a tensor: none, one of the file, or a new one of the right size."""
    tensor = rng.choice(graph.tensors)
    tensor.buffer = rng.choice((0, rng.randrange(len(model.buffers)), len(model.buffers)))
    if tensor.buffer == len(model.buffers):
        size = int(np.prod([max(int(x), 1) for x in tensor.shape or ()], dtype=np.int64)) * (
            4 if tensor.type == 2 else 1
        )
        buffer = s.BufferT()
        buffer.data = np.frombuffer(rng.randbytes(min(size, 4096)), np.uint8)
        model.buffers.append(buffer)


def _data(model: Any, graph: Any, rng: random.Random) -> None:
    buffer = rng.choice(model.buffers)
    if buffer.data is None or not len(buffer.data):
        return
    data = np.array(buffer.data, np.uint8)
    if rng.random() < 0.5 and len(data) % 4 == 0:
        data.view(np.int32)[rng.randrange(len(data) // 4)] = rng.choice((-1, -(2**31), *INTEGERS))
    else:
        data[:] = rng.choice((0x80, 0x7F, 0x00, 0xFF))
    buffer.data = data


def _name(model: Any, graph: Any, rng: random.Random) -> None:
    tensor = rng.choice(graph.tensors)
    tensor.name = rng.choice((b"", b"*/ #error", b"\xff\xfe", b"a" * 5_000, b"\n\\\n", None))


Edit = Callable[[Any, Any, random.Random], None]
EDITS: tuple[Edit, ...] = (
    *(_rewire, _reorder, _chain, _ends, _operator_code, _operator_code, _option, _option, _no_options),
    *(_shape, _shape, _signature, _type, _quantization, _buffer, _data, _name),
)
