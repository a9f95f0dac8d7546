"""The arena over time as text: a column for each step, a row for a piece of the arena, a letter for what lies there."""

from __future__ import annotations

import string

from hil.profile.report import Profile

ROWS = 16
_LETTERS = string.ascii_lowercase + string.ascii_uppercase + string.digits
_FREE, _MANY = ".", "#"
_EDGE = 10  # characters of the offsets at the left


def letters(profile: Profile) -> dict[int, str]:
    """Letter of each row of the memory, by its index; rows beyond the letters share ``#``."""
    return {index: _LETTERS[index] if index < len(_LETTERS) else _MANY for index in range(len(profile.memory))}


def memory_map(profile: Profile, *, rows: int = ROWS) -> str:
    """Lines of text, the highest offset first.

    Where an operator writes its result over its input, the result's letter stands; a piece that nobody has is ``.``.
    The first and the last column are the caller's.
    """
    if not profile.arena_bytes:
        return "the model needs no arena"
    piece = -(-profile.arena_bytes // rows)
    columns = range(-1, len(profile.steps) + 1)
    lines = []
    for row in reversed(range(-(-profile.arena_bytes // piece))):
        cells = "".join(_cell(profile, row * piece, (row + 1) * piece, step) for step in columns)
        lines.append(f"{row * piece:>{_EDGE - 2},}  {cells}")
    return "\n".join([*lines, *_ruler(profile)])


def _cell(profile: Profile, start: int, end: int, step: int) -> str:
    """What came last of the things that have bytes of [start, end) at this step, and of those what has the most."""
    living = [
        (index, row)
        for index, row in enumerate(profile.memory)
        if row.lives_at(step) and row.offset < end and row.end > start
    ]
    if not living:
        return _FREE
    shown = max(living, key=lambda item: (item[1].first, min(item[1].end, end) - max(item[1].offset, start)))
    return letters(profile)[shown[0]]


def _ruler(profile: Profile) -> list[str]:
    """Positions of the operators under their columns, read from top to bottom."""
    names = [str(step.position) for step in profile.steps]
    height = max((len(name) for name in names), default=0)
    rows = ["".join(name.ljust(height)[digit] for name in names) for digit in range(height)]
    heads = ["operator", *[""] * height]
    return [f"{head:>{_EDGE - 2}}   {row}".rstrip() for head, row in zip(heads, rows, strict=False)]
