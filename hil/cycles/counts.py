"""What the plugin wrote: instructions and modelled cycles of each passage through a region, by bucket.

The file is text, a line a fact, decimal numbers::

    flota-cycles 2
    passage REGION INTERRUPTIONS TAKEN SAVED FOLDED ADDRESS_STALLS RESULT_STALLS UNALIGNED SKIPPED
    cost BUCKET INSTRUCTIONS CYCLES            of the passage above; bucket 0 is what no bucket has
    end PASSAGES

The reading is strict: a file that is cut short, or says anything else, is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hil.errors import CountsInvalid

_FIRST_LINE = "flota-cycles 2"
_PASSAGE_FIELDS = 9


@dataclass(frozen=True, slots=True)
class Cost:
    """What something took: instructions, counted, and Cortex-M4 cycles, modelled."""

    instructions: int
    cycles_modelled: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.instructions + other.instructions, self.cycles_modelled + other.cycles_modelled)


NOTHING = Cost(0, 0)


@dataclass(frozen=True, slots=True)
class Passage:
    """Once through a region.

    Attributes:
        region: Index of the region.
        interruptions: Jumps that no branch explains (an exception); 0 where figures are to be exact.
        taken: Branches taken, each with the refill of the pipeline.
        saved: Cycles saved by pipelined loads and stores.
        folded: Cycles saved by IT instructions behind 16-bit ones.
        address_stalls: Cycles waited for an address that the instruction before computed.
        result_stalls: Cycles waited for floating-point results.
        unaligned: Extra cycles of unaligned accesses.
        skipped: Loads and stores whose condition failed.
        buckets: Cost by bucket; the last entry is what ran in none.
    """

    region: int
    interruptions: int
    taken: int
    saved: int
    folded: int
    address_stalls: int
    result_stalls: int
    unaligned: int
    skipped: int
    buckets: tuple[Cost, ...]

    @property
    def total(self) -> Cost:
        """Everything in the region."""
        return sum(self.buckets, NOTHING)


def parse_counts(text: str, *, regions: int, buckets: int) -> tuple[Passage, ...]:
    """The passages in the plugin's file, in order.

    Args:
        text: Its content.
        regions: How many regions the plugin was told of.
        buckets: How many buckets.

    Raises:
        CountsInvalid: It is cut short, of another version, or a line is not what it must be.
    """
    lines = text.split("\n")
    if lines[0] != _FIRST_LINE:
        raise CountsInvalid(f"the counts begin with {lines[0][:40]!r}, not {_FIRST_LINE!r}")
    if lines[-1] != "" or not lines[-2].startswith("end "):
        raise CountsInvalid("the counts are cut short", hint="the emulator was stopped before it could write them")
    if lines[-3] == "unfinished":
        raise CountsInvalid("the emulator ended inside a region", hint="the program stopped before it was done")
    reader = _Reader(regions, buckets)
    for number, line in enumerate(lines[1:-2], 2):
        try:
            reader.take(line)
        except (ValueError, IndexError, TypeError) as error:
            raise CountsInvalid(f"line {number} of the counts is {line[:60]!r}") from error
    passages = tuple(reader.passages())
    if lines[-2] != f"end {len(passages)}":
        raise CountsInvalid(f"the counts have {len(passages)} passages, their last line is {lines[-2][:40]!r}")
    return passages


class _Reader:
    """Takes line after line; any of them raises ValueError or IndexError when it is not what it must be."""

    def __init__(self, regions: int, buckets: int) -> None:
        self._regions = regions
        self._buckets = buckets
        self._passages: list[tuple[list[int], list[Cost]]] = []

    def take(self, line: str) -> None:
        kind, *fields = line.split(" ")
        if kind == "passage":
            self._passage([_natural(field) for field in fields])
        elif kind == "cost":
            bucket, instructions, cycles = (_natural(field) for field in fields)
            self._passages[-1][1][bucket] = Cost(instructions, cycles)
        else:
            raise ValueError(kind)

    def _passage(self, numbers: Sequence[int]) -> None:
        if len(numbers) != _PASSAGE_FIELDS or numbers[0] >= self._regions:
            raise ValueError("passage")
        self._passages.append((list(numbers), [NOTHING] * (self._buckets + 1)))

    def passages(self) -> Iterator[Passage]:
        for numbers, costs in self._passages:
            region, interruptions, taken, saved, folded, address_stalls, result_stalls, unaligned, skipped = numbers
            yield Passage(
                region=region,
                interruptions=interruptions,
                taken=taken,
                saved=saved,
                folded=folded,
                address_stalls=address_stalls,
                result_stalls=result_stalls,
                unaligned=unaligned,
                skipped=skipped,
                buckets=(*costs[1:], costs[0]),
            )


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)
