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
class Layout:
    """Where every tensor and all scratch lives, and the size of the arena in bytes."""

    placements: tuple[Placement, ...]
    arena_bytes: int

    def offsets(self) -> dict[int, int]:
        """Owner tensor -> offset in bytes."""
        return {placement.tensor: placement.offset for placement in self.placements if placement.tensor is not None}

    def scratch(self) -> dict[int, int]:
        """Step -> offset in bytes of the scratch of its operator, where it has any."""
        return {placement.first: placement.offset for placement in self.placements if placement.tensor is None}


def plan_layout(graph: Graph, alignment: int = ALIGNMENT) -> Layout:
    """Place every graph input, operator result, graph output and scratch of ``graph`` in one arena.

    Offsets are multiples of ``alignment`` bytes; kernels with words or floats need the default.
    """
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
        Placement(tensor, offset, buffer.size, buffer.first, buffer.last)
        for tensor, offset, buffer in zip(owners, plan.offsets, buffers, strict=True)
    )
    return Layout(placements, plan.arena_bytes)


def _leads(graph: Graph, last: dict[int, int], numbers: dict[int, int]) -> tuple[Lead, ...]:
    """The overlaps that kernels allow between an input that dies and output 0."""
    leads = []
    for step, op in enumerate(graph.ops):
        for owner in dict.fromkeys(map(graph.storage, op.inputs)):
            lead = lead_of(graph, op, owner) if last.get(owner) == step else None
            if lead is not None:
                exact = isinstance(op.payload, Kernel) and op.payload.exact_lead
                leads.append(Lead(numbers[owner], numbers[op.outputs[0]], lead, exact))
    return tuple(leads)


def lead_of(graph: Graph, op: Op, owner: int) -> int | None:
    """The lead of a buffer that may be several operands of ``op``: all of them must have one."""
    if not isinstance(op.payload, Kernel):
        return None
    found = [op.payload.lead(place) for place, index in enumerate(op.inputs) if graph.storage(index) == owner]
    known = [lead for lead in found if lead is not None]
    return max(known) if len(known) == len(found) else None


def _lifetimes(graph: Graph) -> tuple[dict[int, int], dict[int, int]]:
    """(first step, last step) of every tensor that owns arena bytes."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for tensor in graph.inputs:
        first[tensor] = last[tensor] = -1
    for step, op in enumerate(graph.ops):
        for tensor in op.outputs:
            first[tensor] = last[tensor] = step
        for owner in map(graph.storage, op.inputs):
            if owner in last:
                last[owner] = step
    for owner in map(graph.storage, graph.outputs):
        last[owner] = len(graph.ops)
    return first, last
