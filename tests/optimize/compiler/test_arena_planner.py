"""The arena planner: no byte is overwritten while something still needs it, and little is wasted.

Plans are judged by running them: a graph of made-up kernels is executed byte by byte, each kernel reading as late and
writing as early as what it declares allows.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import ClassVar

from hypothesis import given, settings
from hypothesis import strategies as st

from optimize.compiler.ir import Graph, Op, Tensor
from optimize.compiler.kernels import Kernel
from optimize.compiler.layout import Layout, plan_layout
from optimize.compiler.memory import Buffer, Lead, plan_arena


@st.composite
def lifetimes(draw: st.DrawFn) -> Buffer:
    first = draw(st.integers(-1, 20))
    return Buffer(draw(st.integers(0, 300)), first, draw(st.integers(first, 21)))


BUFFERS = st.lists(lifetimes(), max_size=24).map(tuple)
ALIGNMENTS = st.sampled_from((1, 4, 16))


def overlap(a: Buffer, a_at: int, b: Buffer, b_at: int) -> bool:
    return a_at < b_at + b.size and b_at < a_at + a.size and a.size > 0 and b.size > 0


def first_fit(buffers: tuple[Buffer, ...], alignment: int) -> int:
    """Arena of the plainest planner: each buffer at the lowest free place, in the best of three orders."""

    def arena(order: list[Buffer]) -> int:
        placed: list[tuple[Buffer, int]] = []
        for buffer in order:
            taken = [(at, other) for other, at in placed if buffer.meets(other)]
            candidates = sorted({0, *(-(-(at + other.size) // alignment) * alignment for at, other in taken)})
            free = (at for at in candidates if not any(overlap(buffer, at, other, o) for o, other in taken))
            placed.append((buffer, next(free)))
        return -(-max((at + buffer.size for buffer, at in placed), default=0) // alignment) * alignment

    return min(
        arena(sorted(buffers, key=lambda b: (-b.size, b.first))),
        arena(sorted(buffers, key=lambda b: (b.first, -b.size))),
        arena(sorted(buffers, key=lambda b: -b.size * (b.last - b.first + 1))),
    )


@given(buffers=BUFFERS, alignment=ALIGNMENTS)
def test_live_buffers_never_overlap(buffers: tuple[Buffer, ...], alignment: int) -> None:
    plan = plan_arena(buffers, alignment=alignment)
    for i, a in enumerate(buffers):
        assert plan.offsets[i] % alignment == 0
        assert 0 <= plan.offsets[i] <= plan.offsets[i] + a.size <= plan.arena_bytes
        for j, b in enumerate(buffers[:i]):
            assert not (a.meets(b) and overlap(a, plan.offsets[i], b, plan.offsets[j]))


@given(buffers=BUFFERS)
def test_the_arena_is_between_the_live_peak_and_the_sum(buffers: tuple[Buffer, ...]) -> None:
    plan = plan_arena(buffers, alignment=1)
    peak = max((sum(b.size for b in buffers if b.first <= t <= b.last) for t in range(-1, 22)), default=0)
    assert peak <= plan.arena_bytes <= sum(b.size for b in buffers)


@given(buffers=BUFFERS, alignment=ALIGNMENTS, data=st.data())
def test_the_plan_is_never_larger_than_first_fit(
    buffers: tuple[Buffer, ...], alignment: int, data: st.DataObject
) -> None:
    numbers = range(len(buffers))
    pairs = [(i, j) for i in numbers for j in numbers if i != j and buffers[i].last == buffers[j].first]
    chosen = data.draw(st.lists(st.sampled_from(pairs), max_size=5, unique=True)) if pairs else []
    leads = tuple(Lead(i, j, data.draw(st.integers(-50, 300))) for i, j in chosen if (j, i) not in chosen)
    assert plan_arena(buffers, leads, alignment).arena_bytes <= first_fit(buffers, alignment)


@given(size=st.integers(1, 500), length=st.integers(2, 12))
def test_a_chain_of_equals_needs_two(size: int, length: int) -> None:
    chain = tuple(Buffer(size, step, step + 1) for step in range(length))
    assert plan_arena(chain, alignment=1).arena_bytes == 2 * size


@given(size=st.integers(1, 500), length=st.integers(2, 12))
def test_a_chain_in_place_needs_one(size: int, length: int) -> None:
    chain = tuple(Buffer(size, step, step + 1) for step in range(length))
    leads = tuple(Lead(step, step + 1, 0) for step in range(length - 1))
    assert plan_arena(chain, leads, alignment=1).arena_bytes == size


@given(small=st.integers(1, 200), growth=st.integers(0, 200), lead=st.integers(-50, 250))
def test_an_output_grows_over_its_input_from_below(small: int, growth: int, lead: int) -> None:
    plan = plan_arena((Buffer(small, -1, 0), Buffer(small + growth, 0, 1)), (Lead(0, 1, lead),), alignment=1)
    assert plan.arena_bytes == min(2 * small + growth, max(small + growth, small + lead))


def test_a_small_buffer_does_not_split_a_gap_that_a_later_one_needs() -> None:
    chain = tuple(Buffer(size, step, step + 1) for step, size in enumerate((2, 2, 1, 2)))
    assert plan_arena(chain, alignment=1).arena_bytes == 4


def test_orders_that_fool_first_fit_are_found_by_search() -> None:
    sizes = ((4, 0, 2), (6, 1, 4), (3, 2, 5), (5, 3, 7), (7, 5, 8), (2, 6, 9), (6, 8, 10), (4, 9, 11), (8, 10, 12))
    buffers = tuple(Buffer(*row) for row in sizes)
    peak = max(sum(b.size for b in buffers if b.first <= t <= b.last) for t in range(13))
    assert plan_arena(buffers, alignment=1).arena_bytes == peak < first_fit(buffers, 1)


def test_nothing_to_place_needs_no_arena() -> None:
    assert plan_arena(()).arena_bytes == 0


@dataclass(frozen=True, slots=True)
class MadeUpCall(Kernel):
    """A kernel with the given lead per input."""

    SOURCE: ClassVar[str] = ""
    leads: tuple[int | None, ...]
    scratch: int
    exact: bool

    @property
    def scratch_bytes(self) -> int:
        return self.scratch

    @property
    def exact_lead(self) -> bool:
        return self.exact

    def lead(self, operand: int) -> int | None:
        return self.leads[operand]


@st.composite
def made_up_graphs(draw: st.DrawFn) -> Graph:
    """Up to ten operators with one or two inputs and up to two outputs, some inputs used again much later."""
    sizes = [draw(st.integers(1, 40))]
    inputs = list(range(draw(st.integers(1, 2))))
    sizes += [draw(st.integers(1, 40)) for _ in inputs[1:]]
    ops = []
    for step in range(draw(st.integers(1, 10))):
        recent = st.integers(max(0, len(sizes) - 3), len(sizes) - 1)
        reads = tuple(draw(st.lists(recent | st.integers(0, len(sizes) - 1), min_size=1, max_size=2)))
        writes = tuple(range(len(sizes), len(sizes) + draw(st.sampled_from((1, 1, 1, 2)))))
        leads = tuple(draw(st.none() | st.integers(-20, 30)) for _ in reads)
        call = MadeUpCall(leads, draw(st.sampled_from((0, 0, 7, 30))), draw(st.booleans()))
        ops.append(Op(step, "MADE_UP", call, reads, writes))
        sizes += [draw(st.integers(1, 40)) for _ in writes]
    used = {tensor for op in ops for tensor in op.inputs}
    outputs = tuple(tensor for tensor in range(len(inputs), len(sizes)) if tensor not in used)
    tensors = tuple(Tensor(f"t{index}", (size,), "int8", None) for index, size in enumerate(sizes))
    return Graph(tensors, tuple(ops), tuple(inputs), outputs)


class Machine:
    """An arena whose bytes remember which tensor wrote them."""

    def __init__(self, graph: Graph, layout: Layout, alignment: int) -> None:
        self.graph, self.alignment = graph, alignment
        self.offsets, self.scratch = layout.offsets(), layout.scratch()
        self.memory: list[object] = [None] * layout.arena_bytes
        self.rng = random.Random(1)

    def write(self, tensor: int, byte: int) -> None:
        self.memory[self.offsets[tensor] + byte] = (tensor, byte)

    def read(self, tensor: int, byte: int) -> None:
        assert self.memory[self.offsets[tensor] + byte] == (tensor, byte)

    def run(self) -> None:
        for tensor in self.graph.inputs:
            for byte in range(self.graph.tensors[tensor].bytes):
                self.write(tensor, byte)
        for step, op in enumerate(self.graph.ops):
            self.step(step, op)
        for tensor in self.graph.outputs:
            for byte in range(self.graph.tensors[tensor].bytes):
                self.read(tensor, byte)

    def step(self, step: int, op: Op) -> None:
        """Inputs are read when their lead forces it, or at the very end; scratch is dirtied before and after."""
        assert isinstance(op.payload, MadeUpCall)
        self.dirty(step, op.payload)
        last = not_read_later(self.graph, step)
        pending = {tensor: set(range(self.graph.tensors[tensor].bytes)) for tensor in op.inputs}
        order = list(range(self.graph.tensors[op.outputs[0]].bytes))
        if op.payload.exact:
            self.rng.shuffle(order)
        for byte in order:
            for tensor in last.intersection(op.inputs):
                lead = self.allowed(op, tensor)
                if lead is not None:
                    forced = {byte - lead} if op.payload.exact else {r for r in pending[tensor] if r <= byte - lead}
                    for source in forced & pending[tensor]:
                        self.read(tensor, source)
                    pending[tensor] -= forced
            self.write(op.outputs[0], byte)
        for tensor in op.outputs[1:]:
            for byte in range(self.graph.tensors[tensor].bytes):
                self.write(tensor, byte)
        for tensor, bytes_left in pending.items():
            for byte in bytes_left:
                self.read(tensor, byte)
        self.dirty(step, op.payload)

    def allowed(self, op: Op, tensor: int) -> int | None:
        """The lead of a tensor that may be both operands; an exact one is the next multiple of the alignment."""
        assert isinstance(op.payload, MadeUpCall)
        leads = [lead for lead, operand in zip(op.payload.leads, op.inputs, strict=True) if operand == tensor]
        known = [lead for lead in leads if lead is not None]
        if len(known) < len(leads):
            return None
        return -(-max(known) // self.alignment) * self.alignment if op.payload.exact else max(known)

    def dirty(self, step: int, call: MadeUpCall) -> None:
        for byte in range(call.scratch):
            self.memory[self.scratch[step] + byte] = "scratch"


def not_read_later(graph: Graph, step: int) -> set[int]:
    later = {tensor for op in graph.ops[step + 1 :] for tensor in op.inputs} | set(graph.outputs)
    return set(range(len(graph.tensors))) - later


@settings(max_examples=300)
@given(graph=made_up_graphs(), alignment=st.sampled_from((1, 4)))
def test_every_byte_read_is_the_one_its_producer_wrote(graph: Graph, alignment: int) -> None:
    Machine(graph, plan_layout(graph, alignment), alignment).run()


@settings(max_examples=30)
@given(graph=made_up_graphs())
def test_the_plan_is_deterministic(graph: Graph) -> None:
    assert plan_layout(graph) == plan_layout(graph)


def test_a_graph_of_a_hundred_operators_is_planned_in_two_seconds() -> None:
    rng = random.Random(7)
    ops = []
    for step in range(100):
        reads = tuple({step, max(0, step - rng.choice((0, 0, 1, 3, 9)))})
        leads = tuple(rng.choice((None, 0, 100)) for _ in reads)
        ops.append(Op(step, "MADE_UP", MadeUpCall(leads, rng.choice((0, 64)), exact=False), reads, (step + 1,)))
    tensors = tuple(Tensor(f"t{i}", (rng.randrange(1, 5000),), "int8", None) for i in range(101))
    started = time.process_time()
    plan_layout(Graph(tensors, tuple(ops), (0,), (100,)))
    assert time.process_time() - started < 2.0


def test_a_graph_out_of_all_proportion_is_planned_at_once() -> None:
    """Half a million pairs of buffers alive together: no search, but holes are filled, and nothing overlaps."""
    rng = random.Random(5)
    firsts = [rng.randrange(2000) for _ in range(1400)]
    buffers = tuple(Buffer(rng.choice((4, 30, 200)), first, first + rng.randrange(2000)) for first in firsts)
    started = time.process_time()
    plan = plan_arena(buffers)
    assert time.process_time() - started < 2
    for i, a in enumerate(buffers):
        assert plan.offsets[i] % 4 == 0
        assert plan.offsets[i] + a.size <= plan.arena_bytes
        for j, b in enumerate(buffers[:i]):
            assert not a.meets(b) or not overlap(a, plan.offsets[i], b, plan.offsets[j])
    fullest = max(sum(b.size for b in buffers if b.first <= step <= b.last) for step in range(0, 2000, 50))
    assert plan.arena_bytes < 1.3 * fullest
