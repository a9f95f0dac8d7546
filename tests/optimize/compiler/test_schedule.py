"""The order of operators: legal, never worse, and the best there is where branches are few."""

from __future__ import annotations

import itertools
import random
import time
from dataclasses import dataclass
from typing import ClassVar

from hypothesis import given, settings
from hypothesis import strategies as st

from optimize.compiler.ir import Graph, Op, Tensor
from optimize.compiler.kernels import Kernel
from optimize.compiler.layout import plan_layout
from optimize.compiler.passes.schedule import schedule


@dataclass(frozen=True, slots=True)
class MadeUpCall(Kernel):
    """A kernel that works in place or not."""

    SOURCE: ClassVar[str] = ""
    in_place: bool = False

    def lead(self, operand: int) -> int | None:
        return 0 if self.in_place else None


def build(sizes: list[int], reads: list[tuple[int, ...]], in_place: tuple[bool, ...] = ()) -> Graph:
    """Tensor 0 is the input, operator i makes tensor i + 1 from ``reads[i]``; what nobody reads is an output."""
    flags = in_place or (False,) * len(reads)
    ops = tuple(Op(i, "MADE_UP", MadeUpCall(flags[i]), row, (i + 1,)) for i, row in enumerate(reads))
    used = {tensor for row in reads for tensor in row}
    outputs = tuple(tensor for tensor in range(1, len(sizes)) if tensor not in used)
    return Graph(tuple(Tensor(f"t{i}", (n,), "int8", None) for i, n in enumerate(sizes)), ops, (0,), outputs)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    count = draw(st.integers(1, 6))
    reads = [tuple(draw(st.sets(st.integers(0, i), min_size=1, max_size=2))) for i in range(count)]
    sizes = [4 * draw(st.integers(1, 25)) for _ in range(count + 1)]
    return build(sizes, reads, tuple(draw(st.booleans()) for _ in range(count)))


def legal(graph: Graph) -> bool:
    made = set(graph.inputs)
    for op in graph.ops:
        if not made.issuperset(op.inputs):
            return False
        made.update(op.outputs)
    return True


@given(graph=graphs())
def test_the_order_is_legal_and_the_arena_never_larger(graph: Graph) -> None:
    scheduled = schedule(graph)
    assert legal(scheduled)
    assert sorted(op.position for op in scheduled.ops) == list(range(len(graph.ops)))
    assert plan_layout(scheduled).arena_bytes <= plan_layout(graph).arena_bytes
    assert schedule(graph) == scheduled


@settings(max_examples=40)
@given(graph=graphs())
def test_small_graphs_get_an_arena_close_to_the_best_of_all_orders(graph: Graph) -> None:
    orders = (graph.with_ops(ops) for ops in itertools.permutations(graph.ops))
    best = min(plan_layout(found).arena_bytes for found in orders if legal(found))
    peak = max(sum(p.size for p in plan_layout(schedule(graph)).placements if p.first <= t <= p.last) for t in range(7))
    assert plan_layout(schedule(graph)).arena_bytes <= max(best, peak)


def test_a_branch_is_finished_before_the_next_one_begins() -> None:
    """Three branches that swell and shrink, given breadth first: depth first needs one swollen tensor at a time."""
    swell, shrink = [(0,)] * 3, [(1,), (2,), (3,)]
    graph = build([8, 400, 400, 400, 4, 4, 4, 12], [*swell, *shrink, (4, 5, 6)])
    scheduled = schedule(graph)
    assert [op.position for op in scheduled.ops] == [0, 3, 1, 4, 2, 5, 6]
    assert plan_layout(graph).arena_bytes >= 1200
    assert plan_layout(scheduled).arena_bytes <= 424


def test_a_chain_keeps_its_order() -> None:
    graph = build([8, 400, 4, 8], [(0,), (1,), (2,)])
    assert schedule(graph) is graph


def test_forty_parallel_branches_are_ordered_in_two_seconds() -> None:
    rng = random.Random(3)
    reads: list[tuple[int, ...]] = [(0,)] * 40 + [(i,) for i in range(1, 41)] + [tuple(range(41, 81))]
    graph = build([4 * rng.randrange(1, 200) for _ in range(82)], reads)
    started = time.process_time()
    scheduled = schedule(graph)
    assert time.process_time() - started < 2.0
    assert legal(scheduled)
    assert plan_layout(scheduled).arena_bytes < plan_layout(graph).arena_bytes
