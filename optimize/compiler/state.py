"""What a model remembers from one invocation to the next: the state of a graph, and the operators that touch it.

A ``.tflite`` file has two kinds of memory: resource variables (VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE, given their
initial values in a subgraph that CALL_ONCE names) and variable tensors (the state operands of SVDF and LSTM). Both
become a ``State``: a pair of tensors in one place of the arena, the value as an invocation finds it and the value it
leaves. The graph stays in SSA form; that the two share bytes only orders the operators, which ``verify`` checks.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimize.compiler.ir import SourcePayload


@dataclass(frozen=True, slots=True)
class Copy(SourcePayload):
    """The same bytes in another place: a variable read, or written. Input and output have one size and type."""


@dataclass(frozen=True, slots=True)
class VarHandle(SourcePayload):
    """Names a variable; ``container`` is None where the file leaves it out, which then matches any."""

    container: str | None
    shared_name: str


@dataclass(frozen=True, slots=True)
class ReadVariable(SourcePayload):
    """Inputs: the handle. Output: the variable's value now."""


@dataclass(frozen=True, slots=True)
class AssignVariable(SourcePayload):
    """Inputs: the handle, the new value. No output."""


@dataclass(frozen=True, slots=True)
class CallOnce(SourcePayload):
    """Runs another subgraph in the first invocation only. No inputs, no outputs."""

    subgraph: int


VariableOp = VarHandle | ReadVariable | AssignVariable | CallOnce
"""What the reader finds in the file; ``resolve_variables`` leaves none of them."""
