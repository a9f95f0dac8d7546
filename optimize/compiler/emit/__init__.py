"""Lowered ``Graph`` + ``Layout`` -> the text of ``model.c`` and ``model.h``.

The skeletons are the templates beside this file; the parameters and the call of each operator come from the table in
``operators/``. The same graph gives the same bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from optimize.compiler.emit.operators import Code, Operands, emit_operator
from optimize.compiler.emit.text import byte_array, shape_text
from optimize.compiler.ir import Graph, Op, State
from optimize.compiler.kernels import Kernel
from optimize.compiler.kernels_state import CopyCall
from optimize.compiler.layout import Layout, Placement, StatePlace


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One line of the memory plan's comment; sizes in bytes."""

    offset: int
    end: int
    size: int
    live: str
    tensor: str


@dataclass(frozen=True, slots=True)
class Slot:
    """A graph input or output."""

    offset: int
    size: int
    description: str


@dataclass(frozen=True, slots=True)
class Initial:
    """What sets one state to its initial value: a definition at file scope or "", and a statement."""

    constant: str
    statement: str


@dataclass(frozen=True, slots=True)
class Step:
    """One operator: the C function that runs it, the heading of its constants, its code."""

    function: str
    heading: str
    code: Code


def emit_model(graph: Graph, layout: Layout, name: str) -> dict[str, bytes]:
    """File name -> content. ``name`` goes into comments and the header's guard."""
    offsets = layout.offsets()
    fields: dict[str, object] = {
        "name": comment(name),
        "guard": re.sub(r"\W", "_", name, flags=re.ASCII).upper(),
        "arena_bytes": layout.arena_bytes,
        "plan": [
            *(_state_row(graph, place) for place in layout.states),
            *(_plan_row(graph, placement) for placement in layout.placements),
        ],
        "headers": sorted({op.payload.HEADER for op in graph.ops if isinstance(op.payload, Kernel)}),
        "state_bytes": layout.state_bytes,
        "states": [
            _initial(index, state, place)
            for index, (state, place) in enumerate(zip(graph.states, layout.states, strict=True))
        ],
        "needs_string_h": bool(graph.states) or any(isinstance(op.payload, CopyCall) for op in graph.ops),
        "constants": _constant_inputs(graph),
        "steps": [_step(graph, layout, step) for step in range(len(graph.ops))],
        "inputs": [_slot(graph, offsets, index) for index in graph.inputs],
        "outputs": [_slot(graph, offsets, index) for index in graph.outputs],
    }
    return {file: _environment().get_template(f"{file}.j2").render(fields).encode() for file in ("model.c", "model.h")}


@cache
def _environment() -> Environment:
    loader = PackageLoader("optimize.compiler.emit", "templates")
    return Environment(
        loader=loader,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - the output is C; names go through comment()
    )


def comment(text: str) -> str:
    """``text`` made safe inside a C comment: printable ASCII that neither ends nor opens one, nor continues a line."""
    ascii_text = "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in text)
    return ascii_text.replace("*/", "* /").replace("/*", "/ *")


def _step(graph: Graph, layout: Layout, step: int) -> Step:
    op, offsets, scratch = graph.ops[step], layout.offsets(), layout.scratch()
    expressions = Operands(
        tuple(_operand(graph, offsets, index, const=True) for index in op.inputs),
        tuple(_operand(graph, offsets, index, const=False) for index in op.outputs),
        f"arena + {scratch[step]}" if step in scratch else "NULL",
    )
    sources = ", ".join(_tensor_text(graph, index) for index in op.inputs)
    targets = ", ".join(_tensor_text(graph, index) for index in op.outputs)
    identifier = function_name(op)
    heading = f"{op.position}: {comment(op.name)}  {sources} -> {targets}"
    return Step(identifier, heading, emit_operator(identifier, op, expressions))


def function_name(op: Op) -> str:
    """The C function that runs an operator."""
    return f"op{op.position}_{re.sub(r'[^a-z0-9]', '_', op.name.lower())}"


def _tensor_text(graph: Graph, index: int) -> str:
    tensor = graph.tensors[index]
    return comment(f"{tensor.short_name} {shape_text(tensor.shape)}")


def _operand(graph: Graph, offsets: dict[int, int], index: int, *, const: bool) -> str:
    """C expression of a tensor's address."""
    owner, c_type = graph.storage(index), C_TYPES[graph.tensors[index].dtype]
    if graph.tensors[owner].data is not None:
        cast = f"(const {c_type} *)(const void *)" if c_type in WIDE else ""
        return f"{cast}constant_{owner}"
    qualifier = "const " if const else ""
    return f"({qualifier}{c_type} *)(arena + {offsets[owner]})"


C_TYPES = {
    "bool": "int8_t",
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "float32": "float",
}
WIDE = ("int16_t", "int32_t", "float")
"""Types that need an alignment; constants are arrays of bytes."""


def _constant_inputs(graph: Graph) -> list[str]:
    """Definitions of constant tensors that operators read as ordinary inputs; words and floats lie where such may."""
    definitions = []
    for owner in sorted({graph.storage(i) for op in graph.ops for i in op.inputs}):
        data = graph.tensors[owner].data
        if data is not None:
            array = byte_array(f"constant_{owner}", data)
            if C_TYPES[graph.tensors[owner].dtype] in WIDE:
                array = array.replace("] = {", "] __attribute__((aligned(4))) = {", 1)
            definitions.append(f"/* {_tensor_text(graph, owner)} */\n{array}")
    return definitions


def _plan_row(graph: Graph, placement: Placement) -> PlanRow:
    def step(index: int) -> str:
        if index < 0:
            return "start"
        return "end" if index >= len(graph.ops) else str(graph.ops[index].position)

    live = f"{step(placement.first)}-{step(placement.last)}"
    return PlanRow(
        placement.offset,
        placement.offset + placement.size,
        placement.size,
        live,
        "(scratch)" if placement.tensor is None else _tensor_text(graph, placement.tensor),
    )


def _state_row(graph: Graph, place: StatePlace) -> PlanRow:
    return PlanRow(place.offset, place.offset + place.size, place.size, "always", _tensor_text(graph, place.before))


def _initial(index: int, state: State, place: StatePlace) -> Initial:
    """Bytes that are all alike need no constant."""
    target = f"arena + {place.offset}"
    if len(set(state.initial)) == 1:
        return Initial("", f"memset({target}, {state.initial[0]}, {place.size});")
    constant = byte_array(f"state_{index}", state.initial)
    return Initial(constant, f"memcpy({target}, state_{index}, {place.size});")


def _slot(graph: Graph, offsets: dict[int, int], index: int) -> Slot:
    tensor = graph.tensors[index]
    description = f"{tensor.short_name}: {tensor.dtype} {shape_text(tensor.shape)}"
    if tensor.quant is not None and len(tensor.quant.scales) == 1:
        description += f", real = {tensor.quant.scales[0]:.9g} * (stored {-tensor.quant.zero_points[0]:+d})"
    return Slot(offsets[graph.storage(index)], tensor.bytes, comment(description))
