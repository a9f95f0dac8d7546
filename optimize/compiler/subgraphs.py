"""Which subgraphs of a file the compiler takes: the first, and those that CALL_ONCE runs to initialise variables."""

from __future__ import annotations

from optimize.compiler.flatbuffer import TRUNCATED_HINT
from optimize.compiler.ir import Graph
from optimize.compiler.state import CallOnce
from optimize.errors import InvalidModel, UnsupportedOperator

CONTROL_FLOW: dict[str, str] = {
    "IF": "compute both branches and choose with arithmetic, or split the model and branch in the application",
    "WHILE": "unroll the loop when exporting (unroll=True on a Keras RNN), or run one step per invocation as a stream",
    "CALL": "export with functions inlined",
    "STABLEHLO_WHILE": "unroll the loop when exporting",
    "STABLEHLO_CASE": "compute every branch and choose with arithmetic",
    "STABLEHLO_COMPOSITE": "export with the composite decomposed",
}
"""Operators that run other subgraphs, with the nearest way out."""


def called_once(main: Graph, subgraphs: int) -> tuple[int, ...]:
    """The subgraphs that CALL_ONCE operators of ``main`` name; the file holds ``subgraphs``.

    Raises:
        InvalidModel: there is no such subgraph, or it is the main one.
    """
    found = []
    for op in main.ops:
        if isinstance(op.payload, CallOnce):
            if not 1 <= op.payload.subgraph < subgraphs:
                raise InvalidModel(f"{op.label}: subgraph {op.payload.subgraph} of {subgraphs}", hint=TRUNCATED_HINT)
            found.append(op.payload.subgraph)
    return tuple(dict.fromkeys(found))


def refuse_other_subgraphs(main: Graph, others: int) -> None:
    """Refuse a file with ``others`` subgraphs that no CALL_ONCE names.

    Raises:
        UnsupportedOperator: an operator of ``main`` is what they are for.
        InvalidModel: nothing of ``main`` is; they are further signatures.
    """
    for op in main.ops:
        if op.name in CONTROL_FLOW:
            raise UnsupportedOperator(f"{op.label}: it runs other subgraphs", hint=CONTROL_FLOW[op.name])
    if others > 0:
        raise InvalidModel(
            f"the file holds {others + 1} subgraphs that could run, the compiler takes one",
            hint="export one signature, without control flow (IF, WHILE)",
        )
