"""Lifetimes of a graph's tensors, and the arena plan that follows from them."""

from __future__ import annotations

from dataclasses import dataclass

from optimize.compiler.ir import Graph
from optimize.compiler.memory import Buffer, plan_arena


@dataclass(frozen=True, slots=True)
class Placement:
    """One tensor that owns arena bytes. Step i is the i-th operator; the caller's step is -1 and len(ops)."""

    tensor: int
    offset: int
    size: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Where every tensor lives, and the size of the arena in bytes."""

    placements: tuple[Placement, ...]
    arena_bytes: int

    def offsets(self) -> dict[int, int]:
        """Owner tensor -> offset in bytes."""
        return {placement.tensor: placement.offset for placement in self.placements}


def plan_layout(graph: Graph) -> Layout:
    """Place every graph input, operator result and graph output of ``graph`` in one arena."""
    first, last = _lifetimes(graph)
    owners = tuple(first)
    buffers = tuple(Buffer(graph.tensors[t].bytes, first[t], last[t]) for t in owners)
    plan = plan_arena(buffers)
    placements = tuple(
        Placement(tensor, offset, buffer.size, buffer.first, buffer.last)
        for tensor, offset, buffer in zip(owners, plan.offsets, buffers, strict=True)
    )
    return Layout(placements, plan.arena_bytes)


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
