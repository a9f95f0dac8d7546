"""Leave out the copies into and out of the state that nothing can tell from none.

A read of a variable copies its bytes out, an assignment copies them in. A read may use the state's own bytes where all
that it feeds is done before the state changes; what computes a variable's next value may write it into the state's
bytes at once where nothing after it, and not it itself, reads the value before.
"""

from __future__ import annotations

from dataclasses import replace

from optimize.compiler.ir import Graph, Op, State
from optimize.compiler.state import Copy


def elide_copies(graph: Graph) -> Graph:
    """Alias reads to the state and let operators write into it, where the outputs stay the same."""
    for op in tuple(op for op in graph.ops if isinstance(op.payload, Copy)):
        if _is_read(graph, op):
            graph = _alias(graph, op, graph.storage(op.inputs[0]))
    for state in graph.states:
        store = next(op for op in graph.ops if state.after in op.outputs)
        if isinstance(store.payload, Copy) and _is_store(graph, store, state):
            graph = _write_through(graph, store, state)
    return graph


def _is_read(graph: Graph, op: Op) -> bool:
    """Whether a copy's result may share the bytes it was copied from."""
    source, result = graph.storage(op.inputs[0]), op.outputs[0]
    if any(state.after == result for state in graph.states):
        return False
    state = next((state for state in graph.states if state.before == source), None)
    if state is None:
        return source not in graph.inputs and not _is_output(graph, result)
    return not _is_output(graph, result) and _last_read(graph, result) < _writer(graph, state.after)


def _is_store(graph: Graph, store: Op, state: State) -> bool:
    """Whether the operator that computes the stored value may write it into the state's bytes itself."""
    value = graph.storage(store.inputs[0])
    if value != store.inputs[0] or _is_output(graph, value):
        return False
    computed = any(op.outputs == (value,) for op in graph.ops)
    return computed and _last_read(graph, state.before) < _writer(graph, value)


def _alias(graph: Graph, copy: Op, owner: int) -> Graph:
    """Without ``copy``: its result, and what shared bytes with that, shares them with ``owner``."""
    result = copy.outputs[0]
    tensors = tuple(
        replace(tensor, alias_of=owner) if index == result or tensor.alias_of == result else tensor
        for index, tensor in enumerate(graph.tensors)
    )
    return replace(graph, tensors=tensors, ops=tuple(op for op in graph.ops if op is not copy))


def _write_through(graph: Graph, store: Op, state: State) -> Graph:
    """Without ``store``: the operator before it computes ``state.after``, of which the old result is an alias."""
    value = store.inputs[0]
    ops = tuple(
        replace(op, outputs=(state.after,)) if op.outputs == (value,) else op for op in graph.ops if op is not store
    )
    tensors = tuple(
        replace(tensor, alias_of=state.after) if index == value or tensor.alias_of == value else tensor
        for index, tensor in enumerate(graph.tensors)
    )
    return replace(graph, tensors=tensors, ops=ops)


def _is_output(graph: Graph, owner: int) -> bool:
    return any(graph.storage(index) == owner for index in graph.outputs)


def _last_read(graph: Graph, owner: int) -> int:
    """The last step that reads the bytes of ``owner``; -1 where none does."""
    steps = (step for step, op in enumerate(graph.ops) if any(graph.storage(i) == owner for i in op.inputs))
    return max(steps, default=-1)


def _writer(graph: Graph, tensor: int) -> int:
    """The step that computes ``tensor``; -1 for what no operator does."""
    return next((step for step, op in enumerate(graph.ops) if tensor in op.outputs), -1)
