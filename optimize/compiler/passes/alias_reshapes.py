"""Turn reshapes, and what moves nothing, into aliases: the result is the same bytes and needs no code and no memory."""

from __future__ import annotations

from dataclasses import replace

from optimize.compiler.geometry import merge_axes
from optimize.compiler.ir import Concat, Graph, Op, Pad, Rearrange, Reshape, Transpose


def alias_reshapes(graph: Graph) -> Graph:
    """Remove reshapes; their results share the bytes of their inputs."""
    tensors = list(graph.tensors)
    kept = []
    for op in graph.ops:
        source, target = op.inputs[0] if op.inputs else -1, op.outputs[0] if op.outputs else -1
        if not isinstance(op.payload, Reshape) and not _moves_nothing(graph, op):
            kept.append(op)
            continue
        owner = tensors[source].alias_of
        tensors[target] = replace(tensors[target], alias_of=source if owner is None else owner)
    return replace(graph, tensors=tuple(tensors), ops=tuple(kept))


def _moves_nothing(graph: Graph, op: Op) -> bool:
    """Whether the only result is the bytes of the only input, in order, and these are no constant's."""
    if len(op.inputs) != 1 or len(op.outputs) != 1 or graph.tensors[graph.storage(op.inputs[0])].data is not None:
        return False
    source, target = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    if isinstance(op.payload, Transpose):
        moved = [axis for axis in op.payload.permutation if source.shape[axis] != 1]
        return moved == sorted(moved)
    if isinstance(op.payload, Rearrange):
        return source.elements == target.elements and _is_straight(op.payload)
    if isinstance(op.payload, Pad):
        return not any(sum(pair) for pair in op.payload.amounts)
    return isinstance(op.payload, Concat) and source.quant == target.quant


def _is_straight(payload: Rearrange) -> bool:
    """One move, over both sides densely from the start."""
    if len(payload.moves) != 1:
        return False
    move = payload.moves[0]
    _, strides = merge_axes(move.extents, move.source_strides, move.target_strides)
    return move.source_offset == move.target_offset == 0 and strides in ([(1,), (1,)], [(0,), (0,)])
