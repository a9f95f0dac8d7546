"""Rules of the state: one place for two tensors is safe only in some orders of the operators."""

from __future__ import annotations

from optimize.compiler.ir import Graph, State
from optimize.compiler.kernels_state import CopyCall, ShiftCall
from optimize.compiler.state import Copy
from optimize.compiler.verify.common import Operands, Rule, sizes


def state_problem(graph: Graph, state: State, defined: set[int]) -> str:
    """What is wrong with one state of ``graph``, "" for nothing; ``defined`` are the tensors some operator computes."""
    before, after = graph.tensors[state.before], graph.tensors[state.after]
    if before.bytes == 0 or (before.dtype, before.bytes) != (after.dtype, after.bytes):
        return f"{before.bytes} bytes of {before.dtype} before, {after.bytes} bytes of {after.dtype} after"
    if len(state.initial) != before.bytes:
        return f"{len(state.initial)} bytes of initial value for {before.bytes} bytes"
    if state.after not in defined:
        return "no operator computes its next value"
    places = {graph.storage(index) for index in graph.outputs}
    if places & {state.before, state.after}:
        return "it is a graph output, which the caller may overwrite"
    return _order_problem(graph, state)


def _order_problem(graph: Graph, state: State) -> str:
    """Reads after the write would see the next value. The writer itself may read only where its kernel says so."""
    written = False
    for op in graph.ops:
        reads = any(graph.storage(index) == state.before for index in op.inputs)
        if written and reads:
            return f"{op.label} reads it after it was overwritten"
        written = written or state.after in op.outputs
        if state.after in op.outputs and reads and not getattr(op.payload, "UPDATES_STATE", False):
            return f"{op.label} cannot update it in place"
    return ""


def _copy(payload: Copy, inputs: Operands, outputs: Operands) -> str:
    if (inputs[0].dtype, inputs[0].bytes) != (outputs[0].dtype, outputs[0].bytes):
        return f"{inputs[0].bytes} bytes of {inputs[0].dtype} to {outputs[0].bytes} bytes of {outputs[0].dtype}"
    return ""


def _copy_call(payload: CopyCall, inputs: Operands, outputs: Operands) -> str:
    return sizes((inputs[0].bytes, payload.count), (outputs[0].bytes, payload.count))


def _shift_call(payload: ShiftCall, inputs: Operands, outputs: Operands) -> str:
    window = payload.kept + sum(payload.fresh)
    fresh = [(tensor.bytes, size) for tensor, size in zip(inputs[1:], payload.fresh, strict=True)]
    return sizes((inputs[0].bytes, window), (outputs[0].bytes, window), *fresh)


RULES: dict[type, Rule] = {Copy: _copy, CopyCall: _copy_call, ShiftCall: _shift_call}
