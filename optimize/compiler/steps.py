"""What a compiled model does, step by step, and what lies where in its arena meanwhile; for a profiler."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from optimize.compiler.emit import function_name
from optimize.compiler.ir import Graph, Op
from optimize.compiler.kernels import Kernel
from optimize.compiler.layout import Layout
from optimize.compiler.work import multiply_accumulates


@dataclass(frozen=True, slots=True)
class StepFacts:
    """One operator as it was compiled.

    Attributes:
        position: Of the operator in the model file.
        operator: Its name there.
        function: The C function in ``model.c`` that runs it.
        kernel: Its kernel: the file in ``firmware/src/nn``, without suffix.
        macs: Multiply-accumulates that the model asks for here, not those the kernel happens to do.
        weight_bytes: Its constants in flash. One that several operators read counts at the first.
        scratch_bytes: Arena bytes it needs while it runs, beside inputs and output.
    """

    position: int
    operator: str
    function: str
    kernel: str
    macs: int
    weight_bytes: int
    scratch_bytes: int


@dataclass(frozen=True, slots=True)
class MemoryBlock:
    """Bytes of the arena that one thing has from step ``first`` to step ``last``, both included.

    Step i is the i-th of the steps; the caller's is -1 before them and their number after them.
    """

    label: str
    kind: Literal["tensor", "scratch", "state"]
    offset: int
    bytes: int
    first: int
    last: int


def steps_of(source: Graph, graph: Graph) -> tuple[StepFacts, ...]:
    """The steps of ``graph``, which the passes made of ``source``."""
    macs: dict[int, int] = {}
    for op in source.ops:
        macs[op.position] = macs.get(op.position, 0) + multiply_accumulates(source, op)
    constants = {owner: len(data) for owner in range(len(graph.tensors)) if (data := graph.tensors[owner].data)}
    # What is taken is gone: several steps of one operator share its work, and several readers a constant.
    return tuple(_step(graph, op, macs.pop(op.position, 0), constants) for op in graph.ops)


def _step(graph: Graph, op: Op, macs: int, constants: dict[int, int]) -> StepFacts:
    call = op.payload if isinstance(op.payload, Kernel) else None
    read = sum(constants.pop(owner, 0) for owner in map(graph.storage, op.inputs))
    return StepFacts(
        position=op.position,
        operator=op.name,
        function=function_name(op),
        kernel=_kernel_name(call),
        macs=macs,
        weight_bytes=read + (call.constant_bytes if call else 0),
        scratch_bytes=call.scratch_bytes if call else 0,
    )


def _kernel_name(call: Kernel | None) -> str:
    """The first source of a call, as in ``dsp/conv``; "" where nothing of ours runs (a copy is the C library's)."""
    first = next(iter(call.sources), "") if call else ""
    return str(PurePosixPath(first.removeprefix("src/nn/")).with_suffix("")) if first else ""


def memory_of(graph: Graph, layout: Layout) -> tuple[MemoryBlock, ...]:
    """Everything in the arena, states first, then in the order of the plan."""
    last = len(graph.ops)
    states = [
        MemoryBlock(_label(graph, place.before), "state", place.offset, place.size, -1, last) for place in layout.states
    ]
    placed = (
        MemoryBlock(
            "scratch" if item.tensor is None else _label(graph, item.tensor),
            "scratch" if item.tensor is None else "tensor",
            item.offset,
            item.size,
            item.first,
            item.last,
        )
        for item in layout.placements
    )
    return (*states, *placed)


def _label(graph: Graph, tensor: int) -> str:
    return graph.tensors[tensor].short_name
