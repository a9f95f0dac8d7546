"""Operators with state of their own: SVDF and the LSTM over a sequence, whose state operands are variable tensors.

Both leave operands out by the number -1, and what an operand is follows from its place; so they are read here, by
place, and not by the table of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from optimize.compiler import schema
from optimize.compiler.flatbuffer import TRUNCATED_HINT, Table
from optimize.compiler.ir import Graph, Op, SourcePayload, State, Tensor
from optimize.errors import InvalidModel, UnsupportedOperator

LSTM_HINT = "export a plain LSTM (no peepholes, projection or layer normalisation), or unroll it"


@dataclass(frozen=True, slots=True)
class Svdf(SourcePayload):
    """A singular value decomposition filter; ``rank`` filters make one unit.

    Inputs: activations [batch][in], feature weights [filter][in], time weights [filter][memory], state
    [batch][filter * memory], optional bias [unit]. Outputs: [batch][unit], the next state.
    """

    STATES: ClassVar[tuple[int, ...]] = (3,)
    UPDATES_STATE: ClassVar[bool] = True
    rank: int


@dataclass(frozen=True, slots=True)
class Lstm(SourcePayload):
    """A layer of long short-term memory; ``cell_clip`` 0 stands for none.

    Inputs: activations [batch][time][in] (the first two axes the other way round where ``time_major``), weights of the
    gates input, forget, cell, output for the input [unit][in] (1-4) and the hidden state [unit][unit] (5-8), their
    biases (9-12), hidden state (13), cell state (14). Outputs: activations, the next two states.
    """

    STATES: ClassVar[tuple[int, ...]] = (13, 14)
    UPDATES_STATE: ClassVar[bool] = True
    cell_clip: float
    time_major: bool


SVDF_PLACES = ((0, 1, 2, 4, 3), 5)
"""(places of the operands in the order of ``Svdf``, how many the file has)."""

LSTM_PLACES = ((0, *range(1, 9), *range(12, 16), 18, 19), 24)


def read_recurrent(op: Op, table: Table, places: tuple[int, ...]) -> Op:
    """``op`` with its payload, and its inputs in the order of that; ``places`` are the file's, -1 for what is left out.

    Raises:
        InvalidModel: operands or options are missing.
        UnsupportedOperator: a variant that the interpreter does not run either.
    """
    wanted, count = SVDF_PLACES if op.name == "SVDF" else LSTM_PLACES
    if len(places) != count or len(op.outputs) != 1:
        raise InvalidModel(f"{op.label}: {len(places)} inputs, {len(op.outputs)} outputs", hint=TRUNCATED_HINT)
    extra = [place for place in range(count) if place not in wanted and places[place] != -1]
    if extra:
        raise UnsupportedOperator(f"{op.label}: operand {extra[0]} of an LSTM variant", hint=LSTM_HINT)
    inputs = tuple(places[place] for place in wanted)
    inputs = inputs[:-1] if op.name == "SVDF" and inputs[-1] == -1 else inputs
    if -1 in inputs:
        raise InvalidModel(f"{op.label}: operand {wanted[inputs.index(-1)]} is missing", hint=LSTM_HINT)
    return replace(op, payload=_svdf(op, table) if op.name == "SVDF" else _lstm(op, table), inputs=inputs)


def _options(op: Op, table: Table, kind: int) -> Table:
    options = table.table(schema.Operator.BUILTIN_OPTIONS)
    if options is None or table.u8(schema.Operator.BUILTIN_OPTIONS_TYPE) != kind:
        raise InvalidModel(f"{op.label}: its options are missing", hint=TRUNCATED_HINT)
    return options


def _svdf(op: Op, table: Table) -> Svdf:
    # The interpreter's integer kernel has no use for the fused activation, so neither has this one.
    rank = _options(op, table, schema.SVDF_OPTIONS).i32(schema.SVDFOptions.RANK)
    if rank < 1:
        raise InvalidModel(f"{op.label}: rank {rank}", hint=TRUNCATED_HINT)
    return Svdf(rank)


def _lstm(op: Op, table: Table) -> Lstm:
    options, field = _options(op, table, schema.LSTM_OPTIONS), schema.UnidirectionalSequenceLSTMOptions
    activation = options.i8(field.FUSED_ACTIVATION_FUNCTION)
    if activation != schema.ACTIVATIONS.index("TANH"):
        raise UnsupportedOperator(f"{op.label}: activation {activation}", hint="use the default activation, tanh")
    clip = options.f32(field.CELL_CLIP)
    if not 0.0 <= clip < float("inf"):
        raise InvalidModel(f"{op.label}: cell clip {clip}", hint=TRUNCATED_HINT)
    return Lstm(clip, options.flag(field.TIME_MAJOR))


RECURRENT = frozenset({"SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM"})


def adopt_variable_tensors(graph: Graph) -> Graph:
    """Make the variable tensors of ``graph`` its states; each belongs to one operand of one operator.

    Raises:
        InvalidModel: a state operand is no variable tensor, or a variable tensor is used in another way.
    """
    tensors, states, ops = list(graph.tensors), list(graph.states), []
    for op in graph.ops:
        added = []
        for place in getattr(op.payload, "STATES", ()):
            before = op.inputs[place]
            _check_state(graph, op, before)
            tensors.append(replace(tensors[before], name=f"{tensors[before].name} (next)", variable=False))
            states.append(State(tensors[before].name, before, len(tensors) - 1, _initial(tensors[before])))
            added.append(len(tensors) - 1)
        ops.append(replace(op, outputs=(*op.outputs, *added)))
    _refuse_others(graph, {state.before for state in states})
    return replace(graph, tensors=tuple(tensors), ops=tuple(ops), states=tuple(states))


def _check_state(graph: Graph, op: Op, tensor: int) -> None:
    name = graph.tensors[tensor].name
    if not graph.tensors[tensor].variable or graph.tensors[tensor].data is not None:
        raise InvalidModel(f"{op.label}: its state {name} is not a variable tensor", hint=TRUNCATED_HINT)
    if graph.uses(tensor) != 1:
        raise UnsupportedOperator(f"{op.label}: its state {name} has other uses", hint="give each layer its own state")


def _refuse_others(graph: Graph, states: set[int]) -> None:
    used: Sequence[int] = [index for op in graph.ops for index in (*op.inputs, *op.outputs)]
    for index in (*used, *graph.inputs, *graph.outputs):
        if graph.tensors[index].variable and index not in states:
            raise UnsupportedOperator(
                f"tensor {index} ({graph.tensors[index].name}) is a variable of an operator that keeps no state",
                hint="keep state in SVDF, UNIDIRECTIONAL_SEQUENCE_LSTM or resource variables",
            )


def _initial(tensor: Tensor) -> bytes:
    """What the interpreter fills a variable tensor with: the zero point where it is int8, else zeros."""
    zero_point = tensor.quant.zero_points[0] if tensor.dtype == "int8" and tensor.quant is not None else 0
    return bytes([zero_point & 0xFF]) * tensor.bytes
