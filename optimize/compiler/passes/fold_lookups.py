"""Make functions of one int8 as cheap as they can be.

Every such function is a table of 256 values, whatever operators it came from, so what can be proven of it is decided by
looking at the table: an arithmetic operator with a constant or with itself becomes a table, two tables in a row become
one, a table that only clamps moves into the operator before it, and one that changes nothing disappears.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from optimize.compiler.fixed_point import multiply, wrap32
from optimize.compiler.ir import Graph, Op, Tensor
from optimize.compiler.kernels import (
    ConvCall,
    DepthwiseCall,
    ElementwiseCall,
    FullyConnectedCall,
    Kernel,
    LookupCall,
    PoolCall,
)
from optimize.compiler.kernels_values import BroadcastCall

Table = tuple[int, ...]
IDENTITY: Table = tuple(range(-128, 128))


def fold_lookups(graph: Graph) -> Graph:
    """The same function with fewer and cheaper kernel calls."""
    folder = _Folder(graph)
    for number, op in enumerate(graph.ops):
        folder.add(number, op)
    return replace(graph, tensors=tuple(folder.tensors), ops=tuple(folder.ops.values()))


class _Folder:
    """The operators so far, by number in the order they run, and which of them produces a tensor."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.tensors: list[Tensor] = list(graph.tensors)
        self.ops: dict[int, Op] = {}
        self.producer: dict[int, int] = {}
        self.uses = _uses(graph)
        self.persistent = {tensor for state in graph.states for tensor in (state.before, state.after)}

    def add(self, number: int, op: Op) -> None:
        """``op`` in its cheapest form; one that has its number already gives it its place."""
        op = self.tabulated(op)
        if isinstance(op.payload, LookupCall) and self.folded(op, op.payload):
            self.ops.pop(number, None)
        else:
            self.ops[number] = op
            self.producer.update(dict.fromkeys(op.outputs, number))

    def storage(self, tensor: int) -> int:
        owner = self.tensors[tensor].alias_of
        return tensor if owner is None else owner

    def tabulated(self, op: Op) -> Op:
        """An element-wise operator on one varying int8 as a table."""
        if not isinstance(op.payload, ElementwiseCall | BroadcastCall):
            return op
        size = self.tensors[op.outputs[0]].bytes
        owners = [self.storage(tensor) for tensor in op.inputs]
        for place, tensor in enumerate(op.inputs):
            other = self.uniform(owners[1 - place])
            if self.tensors[tensor].bytes != size or self.tensors[owners[place]].data is not None:
                continue
            if other is not None:
                return replace(op, payload=LookupCall(size, _table(op.payload, place, other)), inputs=(tensor,))
            if owners[0] == owners[1] and op.payload.strides[0] == op.payload.strides[1]:
                return replace(op, payload=LookupCall(size, _table(op.payload, place, None)), inputs=(tensor,))
        return op

    def uniform(self, owner: int) -> int | None:
        """The value of a constant whose elements are all the same."""
        data = self.tensors[owner].data
        values = np.unique(np.frombuffer(data, np.int8)) if data else np.zeros(0, np.int8)
        return int(values[0]) if len(values) == 1 else None

    def folded(self, op: Op, call: LookupCall) -> bool:
        """Whether the operator was not needed, or is now part of the one before it."""
        owner, target = self.storage(op.inputs[0]), op.outputs[0]
        if call.table == IDENTITY and self.may_alias(owner, target):
            self.alias(target, owner)
            return True
        number = self.producer.get(owner)
        if number is None or self.uses[owner] != 1:
            return False
        before = self.ops[number]
        merge = MERGES.get(type(before.payload))
        merged = merge(before.payload, call.table) if merge is not None and before.outputs == (owner,) else None
        if merged is None or not self.may_run(number, target):
            return False
        del self.producer[owner]
        self.add(number, replace(before, payload=merged, outputs=(target,)))
        return True

    def may_run(self, number: int, target: int) -> bool:
        """Whether the operator of that number may write ``target``; brings it to its place.

        It runs where it did, before anything that may overwrite what it reads. The next value of something persistent
        must not be written before its place here, and so that operator must not read what persists.
        """
        if target not in self.persistent:
            return True
        if any(self.storage(tensor) in self.persistent for tensor in self.ops[number].inputs):
            return False
        self.ops[number] = self.ops.pop(number)
        return True

    def may_alias(self, owner: int, target: int) -> bool:
        """Whether ``target`` may be the bytes of ``owner``: not a constant's, nor a value's that persists."""
        return self.tensors[owner].data is None and not self.persistent & {owner, target}

    def alias(self, target: int, owner: int) -> None:
        for index, tensor in enumerate(self.tensors):
            if index == target or tensor.alias_of == target:
                self.tensors[index] = replace(tensor, alias_of=owner)
        self.uses[owner] += self.uses[target] - 1


def _uses(graph: Graph) -> dict[int, int]:
    """Tensor that owns bytes -> how often they are read: by operators, as graph outputs, by whatever persists."""
    readers = [*(tensor for op in graph.ops for tensor in op.inputs), *graph.outputs]
    readers += [tensor for state in graph.states for tensor in (state.before, state.after)]
    uses = dict.fromkeys(range(len(graph.tensors)), 0)
    for owner in map(graph.storage, readers):
        uses[owner] += 1
    return uses


def _table(call: ElementwiseCall | BroadcastCall, place: int, other: int | None) -> Table:
    """The operator on input ``place``; the other input is ``other``, or the same value."""
    return tuple(_element(call, x, place, x if other is None else other) for x in range(-128, 128))


def _element(call: ElementwiseCall | BroadcastCall, x: int, place: int, other: int) -> int:
    """One element, as firmware/src/nn/elementwise.c computes it."""
    stored = (x, other) if place == 0 else (other, x)
    if isinstance(call, BroadcastCall):
        return call.element(*stored)
    left, right = (value + offset for value, offset in zip(stored, call.input_offsets, strict=True))
    if call.kind != "mul":
        left, right = (
            multiply(value * (1 << 20), multiplier, shift)
            for value, multiplier, shift in zip((left, right), call.input_multipliers, call.input_shifts, strict=True)
        )
    raw = {"add": left + right, "sub": left - right, "mul": left * right}[call.kind]
    return _clamp(wrap32(multiply(raw, call.multiplier, call.shift) + call.output_offset), *call.clamp)


def _clamp(value: int, low: int, high: int) -> int:
    return low if value < low else min(value, high)


def _bounds(table: Table, clamp: tuple[int, int]) -> tuple[int, int] | None:
    """``clamp`` followed by ``table`` as one clamp, if on the values that ``clamp`` leaves the table only clamps."""
    left = range(clamp[0], clamp[1] + 1)
    low, high = table[clamp[0] + 128], table[clamp[1] + 128]
    only_clamps = low <= high and all(table[x + 128] == _clamp(x, low, high) for x in left)
    return (low, high) if only_clamps else None


def _into_requantize(call: ConvCall | DepthwiseCall | FullyConnectedCall, table: Table) -> Kernel | None:
    bounds = _bounds(table, call.requantize.clamp)
    return None if bounds is None else replace(call, requantize=replace(call.requantize, clamp=bounds))


def _into_clamp(call: PoolCall | ElementwiseCall, table: Table) -> Kernel | None:
    bounds = _bounds(table, call.clamp)
    return None if bounds is None else replace(call, clamp=bounds)


def _into_table(call: LookupCall, table: Table) -> Kernel:
    return replace(call, table=tuple(table[value + 128] for value in call.table))


MERGES: dict[type, Callable[[Any, Table], Kernel | None]] = {
    ConvCall: _into_requantize,
    DepthwiseCall: _into_requantize,
    FullyConnectedCall: _into_requantize,
    PoolCall: _into_clamp,
    ElementwiseCall: _into_clamp,
    LookupCall: _into_table,
}
"""Kernel call -> the same followed by a table; None where that is not possible."""
