"""Steps of random graphs that remember: resource variables, read and assigned in every order that makes sense."""

from __future__ import annotations

from graph_maker import Maker
from graph_moves import slice_
from tflite_builder import options


def ring(m: Maker) -> None:
    """The last rows of earlier invocations before the current ones, as a streaming convolution keeps them."""
    shape, quant = m.shape(), m.quant()
    axis = 1 if len(shape) > 1 else 0
    kept = m.number(1, 4)
    old = (*shape[:axis], kept, *shape[axis + 1 :])
    handle = m.b.variable(m.values(old) if m.chance(70) else None)
    before = m.b.op("READ_VARIABLE", [handle], m.same_quant(old), options("ReadVariableOptions"))
    both = m.activation((*shape[:axis], kept + shape[axis], *shape[axis + 1 :]), *quant)
    m.step("CONCATENATION", [before, m.now], both, options("ConcatenationOptions", axis=axis))
    begin, size = [0] * len(shape), list(old)
    begin[axis] = shape[axis]
    after = m.activation(old, *quant)
    m.b.op("SLICE", [both, m.b.constant(begin), m.b.constant(size)], after, options("SliceOptions"))
    m.b.op("ASSIGN_VARIABLE", [handle, after], [], options("AssignVariableOptions"))


def running_sum(m: Maker) -> None:
    """What was, plus a part of what is."""
    shape = m.shape()
    handle = m.b.variable(m.values(shape) if m.chance(70) else None)
    state = m.activation(shape)
    m.b.op("READ_VARIABLE", [handle], state, options("ReadVariableOptions"))
    after = m.activation(shape, *m.quant(state))
    scale = max(m.quant()[0], m.quant(state)[0])
    if m.quant(state)[0] < scale / 1000:  # an ADD takes no output that much finer than its inputs
        m.now = m.as_quant(m.now, *m.quant(state))
    m.step("ADD", [state, m.now], after, m.activated("AddOptions"))
    m.b.op("ASSIGN_VARIABLE", [handle, after], [], options("AssignVariableOptions"))


def delay(m: Maker) -> None:
    """The current tensor of the invocation before; or, assigned before it is read, of this one."""
    shape, now = m.shape(), m.now
    handle = m.b.variable(m.values(shape) if m.chance(70) else None)
    result = m.same_quant(shape)
    if m.chance(30):
        m.b.op("ASSIGN_VARIABLE", [handle, now], [], options("AssignVariableOptions"))
        m.step("READ_VARIABLE", [handle], result, options("ReadVariableOptions"))
    else:
        m.step("READ_VARIABLE", [handle], result, options("ReadVariableOptions"))
        m.b.op("ASSIGN_VARIABLE", [handle, now], [], options("AssignVariableOptions"))


def remember(m: Maker) -> None:
    if m.elements() > 2_000 or len(m.b.variables) > 3:
        return slice_(m)
    return m.pick(ring, ring, running_sum, delay)(m)


ANY_STREAMS = (remember,)
