"""The arena planner: where every tensor lives, decided at compile time.

Greedy (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, section 5): one buffer
after the other, each at the lowest offset that is free during its whole life. The order decides how good the plan is,
so a few are tried. Scratch of an operator is a buffer that lives for that one step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

ALIGNMENT = 4
"""Bytes; kernels read floats and, in faster variants, whole words."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """``size`` bytes that must keep their content from step ``first`` through step ``last``."""

    size: int
    first: int
    last: int

    def meets(self, other: Buffer) -> bool:
        """Whether both are alive at some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True)
class Lead:
    """Buffers ``source`` and ``target`` may share bytes where offset[source] - offset[target] >= ``bytes``.

    Both are numbers of buffers; ``bytes`` may be negative. See ``Kernel.lead``.
    """

    source: int
    target: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """``offsets[i]`` is the place of buffer i in an arena of ``arena_bytes`` bytes."""

    offsets: tuple[int, ...]
    arena_bytes: int


def plan_arena(buffers: tuple[Buffer, ...], leads: tuple[Lead, ...] = (), alignment: int = ALIGNMENT) -> Plan:
    """Place ``buffers`` so that no two that are alive together share a byte; offsets are multiples of ``alignment``.

    The smallest plan over ``ORDERS`` wins, the earlier order where two are equal.
    """
    numbers = range(len(buffers))
    plans = (_place(buffers, sorted(numbers, key=lambda i: (*key(buffers[i]), i)), alignment) for key in ORDERS)
    return min(plans, key=lambda plan: plan.arena_bytes)


ORDERS: tuple[Callable[[Buffer], tuple[int, ...]], ...] = (
    lambda buffer: (-buffer.size, buffer.first),
    lambda buffer: (buffer.first, -buffer.size),
    lambda buffer: (-buffer.size * (buffer.last - buffer.first + 1),),
)
"""Largest first; in order of birth; largest in bytes times steps first."""


def _place(buffers: tuple[Buffer, ...], order: list[int], alignment: int) -> Plan:
    """Each buffer of ``order`` in turn at the lowest offset that is free during its whole life."""
    placed: dict[int, int] = {}
    for index in order:
        taken = sorted(
            (offset, offset + buffers[other].size)
            for other, offset in placed.items()
            if buffers[index].meets(buffers[other])
        )
        placed[index] = _lowest_gap(taken, buffers[index].size, alignment)
    end = max((offset + buffers[i].size for i, offset in placed.items()), default=0)
    return Plan(tuple(placed[i] for i in range(len(buffers))), _align(end, alignment))


def _lowest_gap(taken: list[tuple[int, int]], size: int, alignment: int) -> int:
    """The lowest aligned offset with ``size`` free bytes between the ``taken`` ranges, which are sorted by start."""
    offset = 0
    for start, end in taken:
        if start >= offset + size:
            break
        offset = max(offset, _align(end, alignment))
    return offset


def _align(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment
