"""Order the operators so that little memory is alive at once.

What is alive after a set of operators has run does not depend on their order, so the search goes through sets: layer k
holds sets of k operators with, for each, the order that needed the least memory on its fullest step. A layer keeps its
best sets only; where none has to go, the search is exact (Held and Karp's dynamic programming over subsets, with the
maximum in place of the sum; Ahn et al., "Ordering Chaos", MLSys 2020, for neural networks).
"""

from __future__ import annotations

from dataclasses import dataclass

from optimize.compiler.ir import Graph
from optimize.compiler.kernels import Kernel
from optimize.compiler.layout import lead_of, plan_layout
from optimize.compiler.memory import ALIGNMENT, shared_at_most

SEARCH_STEPS = 100_000
"""How often an operator may be put after a set, over all layers: about half a second in CPython on a slow core."""


WIDEST = 200
"""Operators that may run next, with which a search would take long; no model branches so much."""


def schedule(graph: Graph) -> Graph:
    """The same operators in an order whose arena is smaller, or ``graph`` itself where none is found."""
    work, given = _Work(graph), list(range(len(graph.ops)))
    order = given if work.is_chain() else work.search()
    if order == given or work.peak(order) >= work.peak(given):
        return graph
    found = graph.with_ops(tuple(graph.ops[i] for i in order))
    return found if plan_layout(found).arena_bytes < plan_layout(graph).arena_bytes else graph


@dataclass(frozen=True, slots=True)
class _Reached:
    """A set of operators that has run: bytes at the fullest step and after the last, what may run next."""

    peak: int
    live: int
    ready: tuple[int, ...]
    last: int
    before: _Reached | None

    def order(self) -> list[int]:
        """The numbers of the operators in the order they ran."""
        order: list[int] = []
        at: _Reached | None = self
        while at is not None and at.before is not None:
            order.append(at.last)
            at = at.before
        return order[::-1]


class _Work:
    """A graph as bit sets of operators: bit i stands for ``graph.ops[i]``."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.readers = _readers(graph)
        self.kept = {graph.storage(tensor) for tensor in graph.outputs}
        self.before = _predecessors(graph)
        self.after: list[list[int]] = [[] for _ in graph.ops]
        for number, before in enumerate(self.before):
            for other in range(len(graph.ops)):
                if before >> other & 1:
                    self.after[other].append(number)
        self.size = {owner: -(-graph.tensors[owner].bytes // ALIGNMENT) * ALIGNMENT for owner in self.readers}
        self.size |= dict.fromkeys((state.after for state in graph.states), 0)  # has its bytes before and after
        self.read = [
            tuple(sorted({owner for owner in map(graph.storage, op.inputs) if owner in self.size})) for op in graph.ops
        ]
        self.leads: dict[tuple[int, int], int | None] = {}

    def is_chain(self) -> bool:
        """Whether there is one order only."""
        return all(self.before[number] >> (number - 1) & 1 for number in range(1, len(self.before)))

    def search(self) -> list[int]:
        """The best order found; the given one where too many operators could run next."""
        count = len(self.graph.ops)
        layer = {0: self.start()}
        for _ in range(count):
            if any(len(reached.ready) > WIDEST for reached in layer.values()):
                return list(range(count))
            following: dict[int, _Reached] = {}
            for done, reached in layer.items():
                for number in reached.ready:
                    found, known = self.step(done, reached, number), following.get(done | 1 << number)
                    if known is None or found.peak < known.peak:
                        following[done | 1 << number] = found
            layer = _best(following, SEARCH_STEPS // count)
        return next(iter(layer.values())).order()

    def peak(self, order: list[int]) -> int:
        """Bytes alive at the fullest step of ``order``."""
        done, reached = 0, self.start()
        for number in order:
            reached = self.step(done, reached, number)
            done |= 1 << number
        return reached.peak

    def start(self) -> _Reached:
        """The caller has filled the inputs."""
        inputs = [self.size[tensor] for tensor in self.graph.inputs]
        unread = [self.size[tensor] for tensor in self.graph.inputs if self.dead(tensor, 0)]
        ready = tuple(number for number, before in enumerate(self.before) if before == 0)
        return _Reached(sum(inputs), sum(inputs) - sum(unread), ready, -1, None)

    def dead(self, owner: int, done: int) -> bool:
        """Whether nothing needs the bytes of ``owner`` once ``done`` has run."""
        return owner not in self.kept and self.readers[owner] & ~done == 0

    def step(self, done: int, reached: _Reached, number: int) -> _Reached:
        """``reached`` with operator ``number`` run after it."""
        op, after = self.graph.ops[number], done | 1 << number
        made = sum(self.size[tensor] for tensor in op.outputs)
        scratch = op.payload.scratch_bytes if isinstance(op.payload, Kernel) else 0
        dying = [owner for owner in self.read[number] if self.dead(owner, after)]
        shared = shared_at_most(self.sources(number, dying), self.size[op.outputs[0]])
        full = reached.live + made + scratch - shared
        gone = dying + [tensor for tensor in op.outputs if self.dead(tensor, after)]
        live = reached.live + made - sum(self.size[owner] for owner in gone)
        freed = [other for other in self.after[number] if self.before[other] & ~after == 0]
        ready = tuple(sorted({*reached.ready, *freed} - {number}))
        return _Reached(max(reached.peak, full), live, ready, number, reached)

    def sources(self, number: int, dying: list[int]) -> list[tuple[int, int]]:
        """(size, lead) of the inputs of an operator that its first output may overlap."""
        found = []
        for owner in dying:
            if (number, owner) not in self.leads:
                self.leads[number, owner] = lead_of(self.graph, self.graph.ops[number], owner)
            lead = self.leads[number, owner]
            if lead is not None:
                found.append((self.size[owner], lead))
        return found


def _best(layer: dict[int, _Reached], steps: int) -> dict[int, _Reached]:
    """The sets that needed least, as many as can be followed in that many steps, at least one."""
    kept: dict[int, _Reached] = {}
    for done, reached in sorted(layer.items(), key=lambda item: (item[1].peak, item[1].live)):
        steps -= len(reached.ready)
        if kept and steps < 0:
            break
        kept[done] = reached
    return kept


def _readers(graph: Graph) -> dict[int, int]:
    """Tensor that owns arena bytes -> the operators that read them."""
    owners = [*graph.inputs, *(tensor for op in graph.ops for tensor in op.outputs)]
    readers = dict.fromkeys(owners, 0)
    for number, op in enumerate(graph.ops):
        for owner in map(graph.storage, op.inputs):
            if owner in readers:
                readers[owner] |= 1 << number
    return readers


def _predecessors(graph: Graph) -> list[int]:
    """What must have run before each operator: the producers of its inputs, and all that reads what it overwrites."""
    producer = {tensor: number for number, op in enumerate(graph.ops) for tensor in op.outputs}
    before = [0] * len(graph.ops)
    for number, op in enumerate(graph.ops):
        for owner in map(graph.storage, op.inputs):
            if owner in producer:
                before[number] |= 1 << producer[owner]
    for state in graph.states:
        readers = _readers_of(graph, state.before)
        before[producer[state.after]] |= readers & ~(1 << producer[state.after])
    return before


def _readers_of(graph: Graph, owner: int) -> int:
    """The operators that read the bytes of ``owner``."""
    numbers = (i for i, op in enumerate(graph.ops) if any(graph.storage(tensor) == owner for tensor in op.inputs))
    return sum(1 << number for number in numbers)
