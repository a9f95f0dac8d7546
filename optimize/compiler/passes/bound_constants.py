"""Refuse a model whose generated code would be out of all proportion.

Each operator gets its constants in a layout of its own, so a file of some kilobytes in which thousands of operators
read one tensor would otherwise become gigabytes of C.
"""

from __future__ import annotations

from optimize.compiler.ir import Graph
from optimize.errors import InvalidModel

MAX_BYTES = 32 * 1024 * 1024
"""Several times the flash of the largest microcontrollers."""


def bound_constants(graph: Graph) -> Graph:
    """Return ``graph`` unchanged.

    Raises:
        InvalidModel: the constants, counted once for each operator that reads them, take more than ``MAX_BYTES``.
    """
    constants = (graph.tensors[graph.storage(index)].data for op in graph.ops for index in op.inputs)
    total = sum(len(data) for data in constants if data is not None)
    if total > MAX_BYTES:
        raise InvalidModel(
            f"its operators read {total} bytes of constants, the compiler takes {MAX_BYTES}",
            hint="no microcontroller holds this; use a smaller model",
        )
    return graph
