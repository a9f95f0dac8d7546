"""What a graph asks of the arena planner: lifetimes, scratch and leads of its kernel calls."""

from __future__ import annotations

from dataclasses import dataclass

from optimize.compiler.ir import Graph, Op, Tensor
from optimize.compiler.kernels import LookupCall
from optimize.compiler.layout import plan_layout


@dataclass(frozen=True, slots=True)
class ScratchCall(LookupCall):
    """A kernel that needs scratch."""

    @property
    def scratch_bytes(self) -> int:
        return 40


def int8(count: int) -> Tensor:
    return Tensor(f"t{count}", (count,), "int8", None)


def chain(*calls: LookupCall) -> Graph:
    """An input of 8 bytes, each call reading what the one before wrote."""
    ops = tuple(Op(step, "LOGISTIC", call, (step,), (step + 1,)) for step, call in enumerate(calls))
    return Graph((int8(8),) * (len(calls) + 1), ops, (0,), (len(calls),))


def test_scratch_lives_for_its_step_and_shares_nothing() -> None:
    table = tuple(range(-128, 128))
    graph = chain(LookupCall(8, table), ScratchCall(8, table), LookupCall(8, table))
    layout = plan_layout(graph)
    assert list(layout.scratch()) == [1]
    (scratch,) = (p for p in layout.placements if p.tensor is None)
    others = [p for p in layout.placements if p.tensor is not None and p.first <= 1 <= p.last]
    assert all(p.offset + 8 <= scratch.offset or scratch.offset + 40 <= p.offset for p in others)
    assert layout.arena_bytes == 40 + 8


def test_a_kernel_without_scratch_has_no_placement_for_it() -> None:
    assert plan_layout(chain(LookupCall(8, (0,) * 256))).scratch() == {}
