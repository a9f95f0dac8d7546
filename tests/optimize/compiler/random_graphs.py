"""Random small int8 graphs for the differential tests: shapes, strides, paddings, dilations, quantization extremes.

Every graph is one the interpreter accepts. ``random_graph(seed)`` is fast and the same everywhere; ``graphs()`` is the
same as a hypothesis strategy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from graph_functions import ANY_FUNCTIONS, IMAGE_FUNCTIONS
from graph_logic import ANY_LOGIC
from graph_maker import Choices, DrawnChoices, Maker, SeededChoices
from graph_moves import ANY_MOVES, IMAGE_MOVES, resize_bilinear
from graph_recurrent import ANY_RECURRENT
from graph_steps import ANY_STEPS, IMAGE_STEPS, Step, image
from graph_streams import ANY_STREAMS
from graph_types import ANY_TYPES
from hypothesis import strategies as st

from optimize.compiler.operators import RULES


def _known(steps: Iterable[tuple[str, Step]]) -> tuple[Step, ...]:
    """The steps whose operator the compiler has."""
    return tuple(step for name, step in steps if name in RULES)


ANY = ANY_STEPS + ANY_STREAMS + ANY_RECURRENT + _known((*ANY_MOVES, *ANY_FUNCTIONS, *ANY_TYPES, *ANY_LOGIC))
IMAGE = IMAGE_STEPS * 2 + _known((*IMAGE_MOVES, *IMAGE_FUNCTIONS, ("RESIZE_BILINEAR", resize_bilinear))) + ANY
MAX_ELEMENTS = 6_000
"""A graph stops growing at a tensor larger than this."""


def random_graph(seed: int) -> bytes:
    """The bytes of the model of that number."""
    return _grow(SeededChoices(seed))


class Drawn(bytes):
    """A model that hypothesis does not print byte by byte."""

    def __repr__(self) -> str:
        return f"<model of {len(self)} bytes>"


@st.composite
def graphs(draw: Callable[[Any], Any]) -> Drawn:
    """The bytes of one random model."""
    return Drawn(_grow(DrawnChoices(draw)))


def _grow(choices: Choices) -> bytes:
    maker = Maker(choices)
    for _ in range(choices.pick(1, 2, 3, 4, 5, choices.number(6, 12))):
        shape = maker.shape()
        if not shape or maker.elements() > MAX_ELEMENTS or len(shape) > 4:
            break
        if len(shape) < 4 and maker.chance(40):
            image(maker)
        choices.pick(*(IMAGE if len(maker.shape()) == 4 else ANY))(maker)
    return maker.b.build(maker.inputs, _outputs(maker))


def _outputs(maker: Maker) -> list[int]:
    """The last tensor, and now and then one that is read inside the graph too."""
    computed = [tensor for tensor in maker.history if tensor not in maker.inputs and tensor != maker.now]
    return [maker.now, maker.pick(*computed)] if computed and maker.chance(20) else [maker.now]
