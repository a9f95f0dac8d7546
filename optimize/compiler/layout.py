"""Lifetimes of a graph's tensors and scratch, what may overlap, and the arena plan that follows from them."""

from __future__ import annotations

from dataclasses import dataclass

from optimize.compiler.ir import Graph, Op
from optimize.compiler.kernels import Kernel
from optimize.compiler.memory import ALIGNMENT, Buffer, Lead, plan_arena


@dataclass(frozen=True, slots=True)
class Placement:
    """A tensor that owns arena bytes, or the scratch of operator ``first`` where ``tensor`` is None.

    Step i is the i-th operator; the caller's step is -1 and len(ops).
    """

    tensor: int | None
    offset: int
    size: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class StatePlace:
    """Bytes that hold tensor ``before`` when an invocation begins and ``after`` when it ends."""

    before: int
    after: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Where every tensor and all scratch lives, and the size of the arena in bytes.

    The arena begins with ``state_bytes`` bytes that keep their content between invocations; ``states`` are the places
    in them, in the order of the graph's states.
    """

    placements: tuple[Placement, ...]
    arena_bytes: int
    state_bytes: int = 0
    states: tuple[StatePlace, ...] = ()

    def offsets(self) -> dict[int, int]:
        """Owner tensor -> offset in bytes."""
        kept = {tensor: place.offset for place in self.states for tensor in (place.before, place.after)}
        return kept | {item.tensor: item.offset for item in self.placements if item.tensor is not None}

    def scratch(self) -> dict[int, int]:
        """Step -> offset in bytes of the scratch of its operator, where it has any."""
        return {placement.first: placement.offset for placement in self.placements if placement.tensor is None}


def plan_layout(graph: Graph, alignment: int = ALIGNMENT) -> Layout:
    """Place the state, every graph input, operator result, graph output and scratch of ``graph`` in one arena.

    Offsets are multiples of ``alignment`` bytes; kernels with words or floats need the default.
    """
    states, state_bytes = _place_states(graph, alignment)
    first, last = _lifetimes(graph)
    owners: list[int | None] = [*first]
    buffers = [Buffer(graph.tensors[t].bytes, first[t], last[t]) for t in first]
    leads = _leads(graph, last, {tensor: number for number, tensor in enumerate(first)})
    for step, op in enumerate(graph.ops):
        if isinstance(op.payload, Kernel) and op.payload.scratch_bytes:
            owners.append(None)
            buffers.append(Buffer(op.payload.scratch_bytes, step, step))
    plan = plan_arena(tuple(buffers), leads, alignment)
    placements = tuple(
        Placement(tensor, state_bytes + offset, buffer.size, buffer.first, buffer.last)
        for tensor, offset, buffer in zip(owners, plan.offsets, buffers, strict=True)
    )
    return Layout(placements, state_bytes + plan.arena_bytes, state_bytes, states)


def _place_states(graph: Graph, alignment: int) -> tuple[tuple[StatePlace, ...], int]:
    """The states one after the other from the start of the arena, and how many bytes they take.

    Nothing else ever lies there, so the plan of the rest is that of a graph without state, moved up.
    """
    places, end = [], 0
    for state in graph.states:
        size = graph.tensors[state.before].bytes
        places.append(StatePlace(state.before, state.after, end, size))
        end += -(-size // alignment) * alignment
    return tuple(places), end


def _leads(graph: Graph, last: dict[int, int], numbers: dict[int, int]) -> tuple[Lead, ...]:
    """The overlaps that kernels allow between an input that dies and output 0."""
    leads = []
    for step, op in enumerate(graph.ops):
        for owner in dict.fromkeys(map(graph.storage, op.inputs)):
            may = last.get(owner) == step and op.outputs[0] in numbers
            lead = lead_of(graph, op, owner) if may else None
            if lead is not None:
                exact = isinstance(op.payload, Kernel) and op.payload.exact_lead
                leads.append(Lead(numbers[owner], numbers[op.outputs[0]], lead, exact))
    return tuple(leads)


LARGEST_OVERLAP = 2 * 1024 * 1024
"""Bytes. Larger tensors do not share: replaying their kernels takes long, and no microcontroller holds them."""


MOST_INPUTS = 64
"""Inputs of an operator. With more none shares: each would replay the moves of all."""


def lead_of(graph: Graph, op: Op, owner: int) -> int | None:
    """The lead of a buffer that may be several operands of ``op``: all of them must have one."""
    largest = max(graph.tensors[owner].bytes, graph.tensors[op.outputs[0]].bytes)
    if not isinstance(op.payload, Kernel) or largest > LARGEST_OVERLAP or len(op.inputs) > MOST_INPUTS:
        return None
    found = [op.payload.lead(place) for place, index in enumerate(op.inputs) if graph.storage(index) == owner]
    known = [lead for lead in found if lead is not None]
    return max(known) if len(known) == len(found) else None


def _lifetimes(graph: Graph) -> tuple[dict[int, int], dict[int, int]]:
    """(first step, last step) of every tensor that owns arena bytes."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    kept = {state.after for state in graph.states}
    for tensor in graph.inputs:
        first[tensor] = last[tensor] = -1
    for step, op in enumerate(graph.ops):
        for tensor in (tensor for tensor in op.outputs if tensor not in kept):
            first[tensor] = last[tensor] = step
        for owner in map(graph.storage, op.inputs):
            if owner in last:
                last[owner] = step
    for owner in map(graph.storage, graph.outputs):
        last[owner] = len(graph.ops)
    return first, last
