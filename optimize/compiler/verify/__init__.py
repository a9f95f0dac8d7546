"""Which graphs are legal. Checked after reading and after every pass, so later code may rely on it.

``verify`` holds the structure (every tensor has one definition before its uses) and one shape rule per payload. For
kernel calls the rules compare what the C code will touch with the size of its operands: a graph that passes cannot make
generated code leave a tensor.
"""

from __future__ import annotations

from optimize.compiler.ir import Graph, Op, Opaque
from optimize.compiler.verify import (
    calls,
    dsp_depthwise,
    dsp_elementwise,
    dsp_gemm,
    dsp_plane,
    dsp_recurrent,
    dsp_reduction,
    helium,
    linear,
    rearranging,
    recurrent,
    sources,
    state,
    sums,
    values,
)
from optimize.compiler.verify.common import Rule
from optimize.compiler.verify.state import state_problem
from optimize.errors import InvalidModel

HINT = "the file is damaged or leaves shapes open; export the model again, with a fixed batch size of 1"
CONSTANT_OUTPUT = (
    "it is the same for every input: take it out of the model's outputs, and keep its values in the program"
)


LIMITS: dict[str, tuple[int, int]] = {
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31) + 1, 2**31 - 1),
}
"""Smallest and largest zero point of a type; kernels add what is subtracted, so that has to have a negative."""


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
        zero_points = tensor.quant.zero_points if tensor.dtype in LIMITS and tensor.quant is not None else ()
        low, high = LIMITS.get(tensor.dtype, (0, 0))
        if not all(low <= zero_point <= high for zero_point in zero_points):
            raise InvalidModel(f"{label}: a zero point is not an {tensor.dtype}", hint=HINT)
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
    for kept in graph.states:
        _define(graph, defined, kept.before, "the graph's state")
    for op in graph.ops:
        # What the compiler has no code for may have scratch among its inputs; it is refused by name later.
        for index in () if isinstance(op.payload, Opaque) else op.inputs:
            if graph.storage(index) not in defined:
                raise _wrong(op, f"it reads tensor {index} ({graph.tensors[index].name}) before it is computed")
        for index in op.outputs:
            _define(graph, defined, index, op.label)
    for index in graph.outputs:
        owner = graph.storage(index)
        if graph.tensors[owner].data is not None:
            raise InvalidModel(
                f"graph output {index} ({graph.tensors[index].name}) is a constant", hint=CONSTANT_OUTPUT
            )
        if owner not in defined:
            raise InvalidModel(f"graph output {index} ({graph.tensors[index].name}) is never computed", hint=HINT)
    for kept in graph.states:
        problem = state_problem(graph, kept, defined)
        if problem:
            raise InvalidModel(f"state {kept.name}: {problem}", hint=HINT)


def _define(graph: Graph, defined: set[int], index: int, by: str) -> None:
    if index in defined or graph.tensors[index].alias_of is not None:
        raise InvalidModel(f"tensor {index} ({graph.tensors[index].name}) is defined again by {by}", hint=HINT)
    defined.add(index)


FAMILIES = (
    calls,
    dsp_depthwise,
    dsp_elementwise,
    dsp_gemm,
    dsp_plane,
    dsp_recurrent,
    dsp_reduction,
    helium,
    linear,
    rearranging,
    recurrent,
    sources,
    state,
    sums,
    values,
)

RULES: dict[type, Rule] = {key: row for family in FAMILIES for key, row in family.RULES.items()}
"""Payload -> its rule."""
