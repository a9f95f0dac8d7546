"""The arena planner: where every tensor lives, decided at compile time.

Two buffers that are alive together share no byte, with one exception: an input that dies at the step that writes an
output may lie under it where the kernel allows it (``Lead``). So each pair restricts the difference of its two offsets,
and the plan wanted is the one of the smallest arena.

First fit (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, section 5): one buffer
after the other, each at the lowest offset that its relations to those already placed leave free. The order decides how
good the plan is, and some order gives the best plan there is: that of the offsets in a best plan, where no lead is
negative. A few known orders are tried first, then neighbours of the best one (``_search``), until a lower bound is met
or the effort is spent. No clock is read and the random numbers have a fixed seed: the same buffers give the same plan.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush

ALIGNMENT = 4
"""Bytes; kernels read floats and, in faster variants, whole words."""

SEARCH_EFFORT = 2_000_000
"""Pairs of buffers the search may look at: under half a second in CPython on a slow core."""

SEARCH_PATIENCE = 60
"""Orders tried per buffer without a smaller arena before the search gives up."""


MOST_PAIRS = 400_000
"""Pairs of buffers alive together, beyond which nothing is searched; models of 800 tensors in use at once."""


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

    Both are numbers of buffers; ``bytes`` may be negative. With ``exact``, only the smallest difference that alignment
    leaves is allowed. See ``Kernel.lead``.
    """

    source: int
    target: int
    bytes: int
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """``offsets[i]`` is the place of buffer i in an arena of ``arena_bytes`` bytes."""

    offsets: tuple[int, ...]
    arena_bytes: int


Relation = tuple[int, int, int]
"""(other, low, high): the offset of a buffer less that of ``other`` must not lie strictly between low and high."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Everything in units of the alignment, which loses nothing: offsets are multiples of it."""

    sizes: tuple[int, ...]
    relations: tuple[tuple[Relation, ...], ...]
    bound: int
    """No arena can be smaller."""


def plan_arena(buffers: tuple[Buffer, ...], leads: tuple[Lead, ...] = (), alignment: int = ALIGNMENT) -> Plan:
    """Place ``buffers`` so that those alive together share no byte but what ``leads`` allow, in a small arena.

    Offsets are multiples of ``alignment``. The plan is never larger than the best of ``ORDERS`` without overlaps, but
    for graphs out of all proportion (``MOST_PAIRS``).
    """
    if _count_pairs(buffers) > MOST_PAIRS:
        return _by_birth(buffers, alignment)
    problem = _problem(buffers, leads, alignment)
    strict = _problem(buffers, (), alignment)
    numbers = range(len(buffers))
    orders = [sorted(numbers, key=partial(_key, buffers, key)) for key in ORDERS]
    starts = [(_place(each, order), order) for each in (problem, strict) for order in orders]
    offsets, order = min(starts, key=lambda start: _end(problem, start[0]))
    offsets = _search(problem, offsets, order)
    return Plan(tuple(offset * alignment for offset in offsets), _end(problem, offsets) * alignment)


def _key(buffers: tuple[Buffer, ...], key: Callable[[Buffer], tuple[int, ...]], number: int) -> tuple[int, ...]:
    return (*key(buffers[number]), number)


ORDERS: tuple[Callable[[Buffer], tuple[int, ...]], ...] = (
    lambda buffer: (-buffer.size, buffer.first),
    lambda buffer: (buffer.first, -buffer.size),
    lambda buffer: (-buffer.size * (buffer.last - buffer.first + 1),),
    lambda buffer: (-buffer.last, -buffer.size),
)
"""Largest first; in order of birth; largest in bytes times steps first; last to die first."""


def _problem(buffers: tuple[Buffer, ...], leads: tuple[Lead, ...], alignment: int) -> Problem:
    sizes = tuple(_units(buffer.size, alignment) for buffer in buffers)
    allowed = {(lead.source, lead.target): (_units(lead.bytes, alignment), lead.exact) for lead in leads}
    relations: list[list[Relation]] = [[] for _ in buffers]
    for i, j in _pairs(buffers):
        for low, high in _forbidden(sizes[i], sizes[j], allowed.get((i, j)), allowed.get((j, i))):
            relations[i].append((j, low, high))
            relations[j].append((i, -high, -low))
    return Problem(sizes, tuple(map(tuple, relations)), _lower_bound(buffers, sizes, allowed))


def _units(value: int, alignment: int) -> int:
    """``value`` bytes in units of ``alignment``, rounded up."""
    return -(-value // alignment)


def _pairs(buffers: tuple[Buffer, ...]) -> Iterable[tuple[int, int]]:
    """Pairs of numbers of buffers that hold bytes and are alive together."""
    by_birth = sorted((i for i, buffer in enumerate(buffers) if buffer.size > 0), key=lambda i: buffers[i].first)
    alive: list[int] = []
    for i in by_birth:
        alive = [j for j in alive if buffers[j].last >= buffers[i].first]
        yield from ((i, j) for j in alive)
        alive.append(i)


def _count_pairs(buffers: tuple[Buffer, ...]) -> int:
    """How many pairs ``_pairs`` would give, without making them."""
    births = sorted(buffer.first for buffer in buffers if buffer.size > 0)
    deaths = sorted(buffer.last for buffer in buffers if buffer.size > 0)
    return sum(number - bisect_left(deaths, birth) for number, birth in enumerate(births))


def _by_birth(buffers: tuple[Buffer, ...], alignment: int) -> Plan:
    """First fit among the holes that dead buffers left, in order of birth; in next to no time."""
    offsets, end = [0] * len(buffers), 0
    holes: list[tuple[int, int]] = []  # (offset, size), sorted, none touching another
    dying: list[tuple[int, int]] = []  # heap of (last step, number)
    for number in sorted((n for n, b in enumerate(buffers) if b.size > 0), key=lambda n: (buffers[n].first, n)):
        while dying and dying[0][0] < buffers[number].first:
            dead = heappop(dying)[1]
            holes = _with_hole(holes, offsets[dead], _units(buffers[dead].size, alignment))
        size = _units(buffers[number].size, alignment)
        at = next((place for place, hole in enumerate(holes) if hole[1] >= size), None)
        if at is None:
            offsets[number], end = end, end + size
        else:
            offset, room = holes[at]
            offsets[number], holes[at : at + 1] = offset, [(offset + size, room - size)] if room > size else []
        heappush(dying, (buffers[number].last, number))
    return Plan(tuple(offset * alignment for offset in offsets), end * alignment)


def _with_hole(holes: list[tuple[int, int]], offset: int, size: int) -> list[tuple[int, int]]:
    """``holes`` with one more, joined to what it touches."""
    place = bisect_left(holes, (offset, 0))
    first, last = place, place
    if place > 0 and sum(holes[place - 1]) == offset:
        first, offset, size = place - 1, holes[place - 1][0], size + holes[place - 1][1]
    if place < len(holes) and holes[place][0] == offset + size:
        last, size = place + 1, size + holes[place][1]
    return [*holes[:first], (offset, size), *holes[last:]]


def _forbidden(
    size: int, other: int, lead: tuple[int, bool] | None, reverse: tuple[int, bool] | None
) -> list[tuple[int, int]]:
    """Open intervals that (offset - other's offset) must avoid: ``lead`` if the first is the source of an overlap,
    ``reverse`` if the second is."""
    if reverse is not None:
        return [(-high, -low) for low, high in _forbidden(other, size, reverse, None)]
    if lead is None or lead[0] >= other:
        return [(-size, other)]
    first, exact = lead
    below = [(-size, first)] if first > -size else []
    return [*below, (first, other)] if exact else below


def _lower_bound(
    buffers: tuple[Buffer, ...], sizes: tuple[int, ...], allowed: dict[tuple[int, int], tuple[int, bool]]
) -> int:
    """Units that the fullest step needs: the sum of what is alive, an output and what may lie under it counted once."""
    live: dict[int, int] = {}
    for step in {buffer.first for buffer in buffers}:
        live[step] = sum(size for b, size in zip(buffers, sizes, strict=True) if b.first <= step <= b.last)
    for target in {target for _, target in allowed}:
        sources = [(sizes[source], lead) for (source, other), (lead, _) in allowed.items() if other == target]
        live[buffers[target].first] -= shared_at_most(sources, sizes[target])
    return max(live.values(), default=0)


def shared_at_most(sources: list[tuple[int, int]], target: int) -> int:
    """How much a target of that size can share at most with its ``sources`` (size, lead), which exclude each other."""
    total = sum(size for size, _ in sources)
    together = max(target, total)
    if len(sources) == 1:
        together = max(together, sources[0][1] + total)
    return max(total + target - together, 0)


def _place(problem: Problem, order: list[int], limit: int | None = None) -> list[int]:
    """Each buffer of ``order`` in turn at the lowest offset its relations leave; [] where the end passes ``limit``."""
    offsets = [-1] * len(order)
    for i in order:
        blocked = []
        for other, low, high in problem.relations[i]:
            at = offsets[other]
            if at >= 0:
                blocked.append((at + low, at + high))
        offset = _lowest_gap(blocked)
        if limit is not None and offset + problem.sizes[i] > limit:
            return []
        offsets[i] = offset
    return offsets


def _lowest_gap(blocked: list[tuple[int, int]]) -> int:
    """The lowest offset from 0 on that lies strictly inside none of the ``blocked`` intervals."""
    blocked.sort()
    offset = 0
    for low, high in blocked:
        if low >= offset:
            break
        if high > offset:
            offset = high
    return offset


def _end(problem: Problem, offsets: list[int]) -> int:
    return max((offset + size for offset, size in zip(offsets, problem.sizes, strict=True)), default=0)


def _search(problem: Problem, offsets: list[int], order: list[int]) -> list[int]:
    """Move one buffer at a time to another place in ``order`` and keep what is no worse, from ``offsets`` on."""
    rng = random.Random(len(order))  # noqa: S311 - not for secrets; seeded, so that plans repeat
    best, end, left = offsets, _end(problem, offsets), SEARCH_EFFORT
    cost = sum(map(len, problem.relations)) + len(order)
    patience = SEARCH_PATIENCE * len(order)
    while left > 0 and patience > 0 and end > problem.bound and len(order) > 1:
        left, patience = left - cost, patience - 1
        changed = _neighbour(rng, problem, best, order, end)
        found = _place(problem, changed, end)
        if not found:
            continue
        if _end(problem, found) < end:
            patience = SEARCH_PATIENCE * len(order)
        best, order, end = found, changed, _end(problem, found)
    return best


def _neighbour(rng: random.Random, problem: Problem, offsets: list[int], order: list[int], end: int) -> list[int]:
    """``order`` with one buffer moved; every other time one that reaches the arena's end moves forward."""
    place = rng.randrange(len(order))
    if rng.random() < 0.5:
        top = [at for at, i in enumerate(order) if offsets[i] + problem.sizes[i] == end]
        place = rng.choice(top)
    moved = order[:place] + order[place + 1 :]
    moved.insert(rng.randrange(len(order)), order[place])
    return moved
