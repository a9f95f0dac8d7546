"""Small pieces of C text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

WIDTH = 116


def number_array(c_type: str, name: str, values: Sequence[int], write: Callable[[int], str] = str) -> str:
    """A constant array, wrapped at ``WIDTH`` columns."""
    return f"static const {c_type} {name}[{len(values)}] = {{\n{_wrap(map(write, values))}\n}};\n"


def byte_array(name: str, data: bytes) -> str:
    """An int8 array of the bytes of a tensor."""
    return number_array("int8_t", name, np.frombuffer(data, np.int8).tolist())


def _wrap(words: Iterable[str]) -> str:
    lines, line = [], "   "
    for word in words:
        if len(line) + len(word) + 2 > WIDTH:
            lines.append(line)
            line = "   "
        line += f" {word},"
    return "\n".join([*lines, line])


def braces(values: Iterable[int], length: int | None = None, fill: int = 0) -> str:
    """An initializer ``{1, 2, 3}``, filled up to ``length``."""
    items = list(values)
    items += [fill] * ((length or 0) - len(items))
    return "{" + ", ".join(map(str, items)) + "}"


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as in ``1x49x10x1``."""
    return "x".join(map(str, shape)) or "scalar"
