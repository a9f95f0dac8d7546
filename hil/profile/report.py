"""A profile as data: one model, or two side by side. ``flota profile --json`` prints it as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProfileStep(_Frozen):
    """One operator.

    Attributes:
        position: In the model file.
        operator: Its name there.
        kernel: What runs it, a file of ``firmware/src/nn`` without suffix.
        instructions: Counted, callees included.
        cycles_modelled: By the Cortex-M4's timing table; None on a board with another processor.
        share: Its part of the whole inference, in cycles where there are some, else in instructions.
        macs: Multiply-accumulates that the model asks for here.
        cycles_per_mac: None where there are no cycles or no multiply-accumulates.
        weight_bytes: Its constants in flash.
        scratch_bytes: Arena bytes that it alone needs.
    """

    position: int
    operator: str
    kernel: str
    instructions: int
    cycles_modelled: int | None
    share: float
    macs: int
    cycles_per_mac: float | None
    weight_bytes: int
    scratch_bytes: int

    @property
    def cost(self) -> int:
        """Cycles where there are some, else instructions."""
        return self.instructions if self.cycles_modelled is None else self.cycles_modelled


class MemoryRow(_Frozen):
    """Bytes of the arena that one thing has from step ``first`` to step ``last``, both included.

    Step i is the i-th of the profile's steps; -1 is the caller's before them, their number the caller's after them.
    """

    label: str
    kind: Literal["tensor", "scratch", "state"]
    offset: int
    bytes: int
    first: int
    last: int

    @property
    def end(self) -> int:
        """Offset behind its last byte."""
        return self.offset + self.bytes

    def lives_at(self, step: int) -> bool:
        """Whether the bytes are its at that step."""
        return self.first <= step <= self.last


class Profile(_Frozen):
    """One inference of one model on one board, operator by operator. Sizes in bytes.

    Attributes:
        model: Its name.
        file: The file it came from, and its SHA-256.
        core: Whose kernels the compiler was allowed.
        instructions: Of the whole inference; so are ``cycles_modelled``.
        ram_bytes: Arena, static data and stack; so is ``flash_bytes`` all of it: less an empty program's.
        identical: Whether the output was that of the TensorFlow Lite Micro interpreter, byte for byte.
        steps: The operators in the order they run.
        memory: What lies where in the arena.
    """

    model: str
    file: str
    sha256: str
    board: str
    core: str
    instructions: int
    cycles_modelled: int | None
    ram_bytes: int
    arena_bytes: int
    stack_bytes: int
    flash_bytes: int
    weight_bytes: int
    identical: bool
    steps: tuple[ProfileStep, ...]
    memory: tuple[MemoryRow, ...]

    @property
    def cost(self) -> int:
        """Cycles where there are some, else instructions."""
        return self.instructions if self.cycles_modelled is None else self.cycles_modelled

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the whole model."""
        return sum(step.macs for step in self.steps)


class Pair(_Frozen):
    """Operators of two profiles that have the same position and name; one of them is None where it is in one only."""

    first: ProfileStep | None
    second: ProfileStep | None


class ProfileReport(_Frozen):
    """One profile, or two to compare. ``how`` says where the figures came from. The time is UTC in ISO 8601."""

    schema_version: Literal[1] = 1
    created_at: str
    how: str
    tools: dict[str, str]
    profiles: tuple[Profile, ...] = Field(min_length=1, max_length=2)


def pair_steps(first: Profile, second: Profile) -> tuple[Pair, ...]:
    """The operators of both, matched by position and name, in order of position.

    Of several steps with one position and name, the i-th are matched.
    """
    mine, theirs = _keyed(first.steps), _keyed(second.steps)
    keys = sorted({*mine, *theirs})
    return tuple(Pair(first=mine.get(key), second=theirs.get(key)) for key in keys)


def _keyed(steps: Sequence[ProfileStep]) -> dict[tuple[int, str, int], ProfileStep]:
    found: dict[tuple[int, str, int], ProfileStep] = {}
    for step in steps:
        number = 0
        while (step.position, step.operator, number) in found:
            number += 1
        found[step.position, step.operator, number] = step
    return found
