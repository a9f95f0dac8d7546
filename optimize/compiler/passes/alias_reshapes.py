"""Turn reshapes into aliases: the result is the same bytes, so no code and no memory of its own is needed."""

from __future__ import annotations

from dataclasses import replace

from optimize.compiler.ir import Graph, Reshape


def alias_reshapes(graph: Graph) -> Graph:
    """Remove reshapes; their results share the bytes of their inputs."""
    tensors = list(graph.tensors)
    kept = []
    for op in graph.ops:
        if not isinstance(op.payload, Reshape):
            kept.append(op)
            continue
        source, target = op.inputs[0], op.outputs[0]
        owner = tensors[source].alias_of
        tensors[target] = replace(tensors[target], alias_of=source if owner is None else owner)
    return replace(graph, tensors=tuple(tensors), ops=tuple(kept))
