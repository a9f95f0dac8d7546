"""Resource variables: from handles, reads and assignments to the states of a graph.

The interpreter keeps a variable as bytes: a read copies them out, an assignment copies them in, at the operator's place
in the order (tensorflow/lite/micro/micro_resource_variable.cc). So each variable is followed through the operators like
a local variable of a C function: a read takes the value last assigned, or the state's where nothing was assigned yet;
the last assignment is what the state becomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from optimize.compiler import schema
from optimize.compiler.flatbuffer import TRUNCATED_HINT, Table
from optimize.compiler.ir import Graph, Op, State, Tensor
from optimize.compiler.state import AssignVariable, CallOnce, Copy, ReadVariable, VarHandle, VariableOp
from optimize.errors import InvalidModel, UnsupportedOperator

VARIABLE_OPERATORS = frozenset({"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"})
OPERANDS = {"VAR_HANDLE": (0, 1), "READ_VARIABLE": (1, 1), "ASSIGN_VARIABLE": (2, 0), "CALL_ONCE": (0, 0)}
SIZE_HINT = "a variable keeps one shape and type; export the model again"
INIT_HINT = "let the initialisation assign constants only, or leave it out: variables then start at their zero point"


def read_variable_op(name: str, label: str, table: Table, inputs: int, outputs: int) -> VariableOp:
    """The payload of one of ``VARIABLE_OPERATORS`` with that many operands.

    Raises:
        InvalidModel: wrong operands or no options.
    """
    if (inputs, outputs) != OPERANDS[name]:
        raise InvalidModel(f"{label}: {inputs} inputs, {outputs} outputs", hint=TRUNCATED_HINT)
    if name == "READ_VARIABLE":
        return ReadVariable()
    if name == "ASSIGN_VARIABLE":
        return AssignVariable()
    options = table.table(schema.Operator.BUILTIN_OPTIONS)
    expected = schema.CALL_ONCE_OPTIONS if name == "CALL_ONCE" else schema.VAR_HANDLE_OPTIONS
    if options is None or table.u8(schema.Operator.BUILTIN_OPTIONS_TYPE) != expected:
        raise InvalidModel(f"{label}: its options are missing", hint=TRUNCATED_HINT)
    if name == "CALL_ONCE":
        return CallOnce(options.i32(schema.CallOnceOptions.INIT_SUBGRAPH_INDEX))
    fields = schema.VarHandleOptions
    container = options.text(fields.CONTAINER) if options.has(fields.CONTAINER) else None
    return VarHandle(container, options.text(fields.SHARED_NAME))


@dataclass(slots=True, eq=False)
class _Variable:
    """One variable while the graph is followed. ``now`` is the tensor of its value at this point of the order."""

    handle: VarHandle
    value: Tensor | None = None
    initial: bytes = b""
    before: int = -1
    now: int = -1
    after: int | None = None


@dataclass(slots=True)
class _Resolver:
    """Follows every variable of one model; the methods are called in the order of the fields' first use."""

    tensors: list[Tensor]
    variables: list[_Variable] = field(default_factory=list)

    def find(self, wanted: VarHandle) -> _Variable:
        """The variable of that name, a new one where there is none."""
        for variable in self.variables:
            known = variable.handle
            if known.shared_name == wanted.shared_name and wanted.container in (None, known.container or ""):
                return variable
        self.variables.append(_Variable(wanted))
        return self.variables[-1]

    def handles(self, graph: Graph) -> dict[int, _Variable]:
        """The variable each handle tensor of ``graph`` stands for."""
        return {op.outputs[0]: self.find(op.payload) for op in graph.ops if isinstance(op.payload, VarHandle)}

    def declare(self, graph: Graph, handles: dict[int, _Variable]) -> None:
        """Take each variable's shape, type and default from the first assignment there is.

        The default is the zero point in every byte, as the interpreter fills its buffers.
        """
        for op in graph.ops:
            if not isinstance(op.payload, AssignVariable):
                continue
            variable, value = _variable(handles, op), graph.tensors[op.inputs[1]]
            if variable.value is None:
                if value.bytes == 0:
                    raise UnsupportedOperator(f"{op.label}: a {value.dtype} variable", hint="keep int8 or int16 state")
                zero_point = value.quant.zero_points[0] if value.quant is not None else 0
                variable.value = value
                variable.initial = bytes([zero_point & 0xFF]) * value.bytes
            elif (value.dtype, value.bytes) != (variable.value.dtype, variable.value.bytes):
                raise InvalidModel(
                    f"{op.label}: {_kind(value)} for a variable of {_kind(variable.value)}", hint=SIZE_HINT
                )

    def initialise(self, subgraph: int, graph: Graph) -> None:
        """Run a subgraph that assigns constants to variables."""
        handles = self.handles(graph)
        for op in graph.ops:
            label = f"subgraph {subgraph}, {op.label}"
            if isinstance(op.payload, VarHandle):
                continue
            if not isinstance(op.payload, AssignVariable):
                raise UnsupportedOperator(f"{label}: an initialisation that computes", hint=INIT_HINT)
            value = graph.tensors[op.inputs[1]]
            if value.data is None:
                raise UnsupportedOperator(f"{label}: its value is not a constant", hint=INIT_HINT)
            _variable(handles, op).initial = value.data

    def place(self) -> None:
        """Give every variable the tensor that holds it when an invocation begins."""
        for variable in self.variables:
            if variable.value is not None:
                name = variable.handle.shared_name
                variable.before = variable.now = self._add(replace(variable.value, name=name, data=None))

    def _add(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def follow(self, graph: Graph, handles: dict[int, _Variable]) -> tuple[Op, ...]:
        """The operators of the main subgraph, with reads and last assignments as copies."""
        last = {_variable(handles, op): op.position for op in graph.ops if isinstance(op.payload, AssignVariable)}
        ops: list[Op] = []
        for op in graph.ops:
            if isinstance(op.payload, VarHandle | CallOnce):
                continue
            if isinstance(op.payload, ReadVariable):
                ops.append(self._read(op, _variable(handles, op), graph))
            elif isinstance(op.payload, AssignVariable):
                variable = _variable(handles, op)
                variable.now = op.inputs[1]
                if last[variable] == op.position:
                    ops.append(self._store(op, variable))
            else:
                ops.append(op)
        return tuple(ops)

    def _read(self, op: Op, variable: _Variable, graph: Graph) -> Op:
        result = graph.tensors[op.outputs[0]]
        if variable.value is None:
            raise InvalidModel(f"{op.label}: nothing ever assigns {variable.handle.shared_name!r}", hint=INIT_HINT)
        if (result.dtype, result.bytes) != (variable.value.dtype, variable.value.bytes):
            raise InvalidModel(
                f"{op.label}: {_kind(result)} from a variable of {_kind(variable.value)}", hint=SIZE_HINT
            )
        return replace(op, payload=Copy(), inputs=(variable.now,))

    def _store(self, op: Op, variable: _Variable) -> Op:
        before = self.tensors[variable.before]
        variable.after = self._add(replace(before, name=f"{before.name} (next)"))
        return replace(op, payload=Copy(), inputs=op.inputs[1:], outputs=(variable.after,))

    def states(self) -> tuple[State, ...]:
        """The variables that change. One that never does is a constant: its bytes become the tensor's data."""
        found = []
        for variable in self.variables:
            if variable.after is not None:
                name = variable.handle.shared_name
                found.append(State(name, variable.before, variable.after, variable.initial))
            elif variable.value is not None:
                before = self.tensors[variable.before]
                self.tensors[variable.before] = replace(before, data=variable.initial)
        return tuple(found)


def resolve_variables(graph: Graph, once: Mapping[int, Graph]) -> Graph:
    """``graph`` with states instead of variables. ``once`` holds the subgraphs its CALL_ONCE operators name.

    Raises:
        InvalidModel: a variable is used before anything names or assigns it, or with another size.
        UnsupportedOperator: an initialisation does more than assign constants, or comes too late.
    """
    if not any(isinstance(op.payload, VariableOp) for op in graph.ops):
        return graph
    resolver = _Resolver(list(graph.tensors))
    handles = resolver.handles(graph)
    resolver.declare(graph, handles)
    for other in once.values():
        resolver.declare(other, resolver.handles(other))
    for index in _called(graph):
        resolver.initialise(index, once[index])
    resolver.place()
    ops = resolver.follow(graph, handles)
    states = resolver.states()
    return replace(graph, tensors=tuple(resolver.tensors), ops=ops, states=states)


def _called(graph: Graph) -> tuple[int, ...]:
    """The initialising subgraphs in order; all of them before the first use of a variable."""
    used = next((op for op in graph.ops if isinstance(op.payload, ReadVariable | AssignVariable)), None)
    calls = [(op, op.payload.subgraph) for op in graph.ops if isinstance(op.payload, CallOnce)]
    for op, _ in calls:
        if used is not None and op.position > used.position:
            raise UnsupportedOperator(f"{op.label}: it comes after {used.label}", hint="initialise variables first")
    return tuple(dict.fromkeys(index for _, index in calls))


def _variable(handles: dict[int, _Variable], op: Op) -> _Variable:
    variable = handles.get(op.inputs[0])
    if variable is None:
        raise InvalidModel(f"{op.label}: its first input is not the handle of a variable", hint=TRUNCATED_HINT)
    return variable


def _kind(tensor: Tensor) -> str:
    return f"{tensor.bytes} bytes of {tensor.dtype}"
