"""What a graph asks of the arena planner: lifetimes, scratch and leads of its kernel calls."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from tflite_builder import small_model

from optimize.compiler.cores import CORTEX_M4, PORTABLE, Core
from optimize.compiler.emit import emit_model
from optimize.compiler.ir import Graph, Op, Tensor
from optimize.compiler.kernels import LookupCall
from optimize.compiler.layout import LARGEST_OVERLAP, plan_layout
from optimize.compiler.passes import run_passes
from optimize.compiler.reader import read_tflite


@dataclass(frozen=True, slots=True)
class ScratchCall(LookupCall):
    """A kernel that needs scratch."""

    @property
    def scratch_bytes(self) -> int:
        return 40


def int8(count: int) -> Tensor:
    return Tensor(f"t{count}", (count,), "int8", None)


def chain(*calls: LookupCall) -> Graph:
    """An input, each call reading what the one before wrote."""
    ops = tuple(Op(step, "LOGISTIC", call, (step,), (step + 1,)) for step, call in enumerate(calls))
    return Graph((int8(calls[0].count),) * (len(calls) + 1), ops, (0,), (len(calls),))


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


def test_tensors_that_fit_no_microcontroller_do_not_share() -> None:
    table = tuple(range(-128, 128))
    assert plan_layout(chain(LookupCall(LARGEST_OVERLAP, table))).arena_bytes == LARGEST_OVERLAP
    assert plan_layout(chain(LookupCall(LARGEST_OVERLAP + 4, table))).arena_bytes == 2 * LARGEST_OVERLAP + 8


@pytest.mark.parametrize("core", [PORTABLE, CORTEX_M4], ids=lambda core: core.name)
def test_the_plan_in_the_comment_is_the_plan(core: Core) -> None:
    graph = run_passes(read_tflite(small_model()), core)
    layout = plan_layout(graph)
    text = emit_model(graph, layout, "small")["model.c"].decode()
    comment = text[: text.index("*/")]
    rows = [tuple(map(int, row)) for row in re.findall(r"^ \* +(\d+) +(\d+) +(\d+)  ", comment, re.MULTILINE)]
    assert rows == [(p.offset, p.offset + p.size, p.size) for p in layout.placements]
    assert comment.count("(scratch)") == len(layout.scratch())
    assert f"{layout.arena_bytes} bytes of arena" in comment
    assert bool(layout.scratch()) == (core is CORTEX_M4)
