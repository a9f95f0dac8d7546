"""The arena planner: buffers alive together never share a byte, and it wastes nothing in the easy cases."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from optimize.compiler.memory import Buffer, plan_arena


@st.composite
def lifetimes(draw: st.DrawFn) -> Buffer:
    first = draw(st.integers(-1, 20))
    return Buffer(draw(st.integers(0, 300)), first, draw(st.integers(first, 21)))


BUFFERS = st.lists(lifetimes(), max_size=24).map(tuple)


def overlap(a: Buffer, a_at: int, b: Buffer, b_at: int) -> bool:
    return a_at < b_at + b.size and b_at < a_at + a.size and a.size > 0 and b.size > 0


@given(buffers=BUFFERS, alignment=st.sampled_from((1, 4, 16)))
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


@given(buffers=BUFFERS)
def test_the_plan_is_deterministic(buffers: tuple[Buffer, ...]) -> None:
    assert plan_arena(buffers) == plan_arena(buffers)


@given(size=st.integers(1, 500), length=st.integers(2, 12))
def test_a_chain_of_equals_needs_two(size: int, length: int) -> None:
    chain = tuple(Buffer(size, step, step + 1) for step in range(length))
    assert plan_arena(chain, alignment=1).arena_bytes == 2 * size


def test_a_small_buffer_does_not_split_a_gap_that_a_later_one_needs() -> None:
    chain = tuple(Buffer(size, step, step + 1) for step, size in enumerate((2, 2, 1, 2)))
    assert plan_arena(chain, alignment=1).arena_bytes == 4


def test_nothing_to_place_needs_no_arena() -> None:
    assert plan_arena(()).arena_bytes == 0
