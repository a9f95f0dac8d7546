"""Drop operators whose results nothing needs.

The reader does not list a RESHAPE's shape operand, because the output's shape is known. So the SHAPE, STRIDED_SLICE and
PACK operators that exporters leave behind for an open batch end here, without the compiler having code for them.
"""

from __future__ import annotations

from optimize.compiler.ir import Graph, Op


def drop_unused(graph: Graph) -> Graph:
    """Keep only the operators that some graph output depends on."""
    needed = set(graph.outputs)
    kept: list[Op] = []
    for op in reversed(graph.ops):
        if needed.intersection(op.outputs):
            needed.update(op.inputs)
            kept.append(op)
    return graph.with_ops(tuple(reversed(kept)))
