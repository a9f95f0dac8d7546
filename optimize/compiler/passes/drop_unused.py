"""Drop operators whose results nothing needs.

The reader does not list a RESHAPE's shape operand, because the output's shape is known. So the SHAPE, STRIDED_SLICE and
PACK operators that exporters leave behind for an open batch end here, without the compiler having code for them.
"""

from __future__ import annotations

from dataclasses import replace

from optimize.compiler.ir import Graph, Op


def drop_unused(graph: Graph) -> Graph:
    """Keep only the operators and states that some graph output depends on, now or in a later invocation."""
    roots = set(graph.outputs)
    while True:
        kept, needed = _reach(graph, roots)
        states = tuple(state for state in graph.states if state.before in needed)
        further = {state.after for state in states} - roots
        if not further:
            return replace(graph, ops=kept, states=states)
        roots |= further


def _reach(graph: Graph, roots: set[int]) -> tuple[tuple[Op, ...], set[int]]:
    """(operators that some of ``roots`` depend on, the tensors they read or make)."""
    needed = set(roots)
    kept: list[Op] = []
    for op in reversed(graph.ops):
        if needed.intersection(op.outputs):
            needed.update(op.inputs)
            kept.append(op)
    return tuple(reversed(kept)), needed
