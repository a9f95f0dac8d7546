"""Keep a streaming layer's window where it is: shift it and append, instead of joining it anew and cutting it again.

A streaming convolution remembers its last rows. As exporters write it, every invocation joins the rows remembered to
the new ones, convolves the whole, and cuts the last rows off as what to remember. The joined window is little more than
the state; so the window becomes the state. One move within it takes the place of two copies and of a second buffer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from optimize.compiler.ir import Graph, Op, State
from optimize.compiler.kernels import ConcatCall
from optimize.compiler.kernels_movement import MoveCall
from optimize.compiler.kernels_state import ShiftCall
from optimize.compiler.layout import plan_layout


@dataclass(frozen=True, slots=True)
class _Line:
    """A state, the operator that joins it to what is new, and the one that cuts off what to remember."""

    state: State
    join: Op
    cut: Op


def keep_delay_lines(graph: Graph) -> Graph:
    """Shift windows in place; ``graph`` itself where that would take a larger arena."""
    found = graph
    for state in graph.states:
        line = _find(found, state)
        if line is not None:
            found = _rewrite(found, line)
    if found is graph or plan_layout(found).arena_bytes > plan_layout(graph).arena_bytes:
        return graph
    return found


def _find(graph: Graph, state: State) -> _Line | None:
    cut = next(op for op in graph.ops if state.after in op.outputs)
    readers = [op for op in graph.ops if any(graph.storage(index) == state.before for index in op.inputs)]
    if len(readers) != 1 or not _is_tail(graph, cut) or _is_read(graph, state.after):
        return None
    join, window = readers[0], graph.storage(cut.inputs[0])
    places = [place for place, index in enumerate(join.inputs) if graph.storage(index) == state.before]
    joins = isinstance(join.payload, ConcatCall) and join.payload.rows == 1 and places == [0]
    alone = join.outputs == (window,) and not any(graph.storage(index) == window for index in graph.outputs)
    return _Line(state, join, cut) if joins and alone and window not in _kept(graph) else None


def _is_tail(graph: Graph, op: Op) -> bool:
    """Whether ``op`` copies the last bytes of its only input, in order."""
    call = op.payload
    if not isinstance(call, MoveCall) or len(op.inputs) != 1 or len(call.moves) != 1 or call.filled_bytes:
        return False
    move, result = call.moves[0], graph.tensors[op.outputs[0]].bytes
    start = graph.tensors[op.inputs[0]].bytes - result
    return (math.prod(move.extents), move.run, move.source_offset, move.target_offset) == (1, result, start, 0)


def _is_read(graph: Graph, owner: int) -> bool:
    return any(graph.storage(index) == owner for op in graph.ops for index in op.inputs)


def _kept(graph: Graph) -> set[int]:
    return {state.after for state in graph.states}


def _rewrite(graph: Graph, line: _Line) -> Graph:
    """The window is the state after this invocation; a new tensor stands for the window of the one before."""
    window = line.join.outputs[0]
    before = len(graph.tensors)
    tensors = (*graph.tensors, replace(graph.tensors[window], name=line.state.name))
    fresh = tuple(graph.tensors[index].bytes for index in line.join.inputs[1:])
    shift = replace(
        line.join, payload=ShiftCall(len(line.state.initial), fresh), inputs=(before, *line.join.inputs[1:])
    )
    ops = tuple(shift if op is line.join else op for op in graph.ops if op is not line.cut)
    # What is shifted out first is never read; filled like the rest, an even initial value stays one memset.
    padding = line.state.initial[:1] * sum(fresh)
    state = State(line.state.name, before, window, padding + line.state.initial)
    states = tuple(state if item is line.state else item for item in graph.states)
    return replace(graph, tensors=tensors, ops=ops, states=states)
