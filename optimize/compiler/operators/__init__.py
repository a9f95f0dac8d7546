"""What each operator of a ``.tflite`` file means: a table from operator name to the reader of its options.

The readers lie here by family. An operator that is not in the table becomes ``Opaque`` and is refused later, unless
nothing needs its result.
"""

from __future__ import annotations

from optimize.compiler import schema
from optimize.compiler.flatbuffer import TRUNCATED_HINT, Table
from optimize.compiler.ir import Opaque, SourcePayload, Tensor
from optimize.compiler.operators import (
    elementwise,
    logic,
    movement,
    products,
    rearranging,
    reduction,
    shaping,
    slicing,
    weighted,
)
from optimize.compiler.operators.context import Context, Rule
from optimize.compiler.operators.hints import way_out
from optimize.compiler.shapes import result_shape
from optimize.errors import InvalidModel


def read_payload(
    name: str, label: str, table: Table, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]
) -> tuple[SourcePayload, tuple[int, ...], dict[int, tuple[int, ...]]]:
    """(payload, places of the inputs needed at run time, shapes of results left open) of one operator.

    Raises:
        InvalidModel: operands or options are missing or of the wrong kind.
        UnsupportedOperator: an option has a value the compiler has no code for.
    """
    rule = RULES.get(name)
    if rule is None:
        return (
            Opaque("the compiler has no code for it", way_out(name, tuple(sorted(RULES)))),
            tuple(range(len(inputs))),
            {},
        )
    if len(inputs) not in rule.inputs or len(outputs) not in rule.outputs:
        raise InvalidModel(f"{label}: {len(inputs)} inputs, {len(outputs)} outputs", hint=TRUNCATED_HINT)
    context = Context(label, _options(table, rule.options_type, label), inputs, outputs)
    payload = rule.read(context)
    places = tuple(context.kept) or rule.operands(len(inputs))
    if len(outputs) == 1 and outputs[0].open_shape and not context.settled:
        shape = result_shape(payload, tuple(inputs[place] for place in places))
        if shape is not None:
            context.settled[0] = shape
    return payload, places, context.settled


def _options(table: Table, expected: int, label: str) -> Table | None:
    actual = table.u8(schema.Operator.BUILTIN_OPTIONS_TYPE)
    if expected == 0 or actual == 0:
        return None
    if actual != expected:
        raise InvalidModel(f"{label}: options of another operator (type {actual})", hint=TRUNCATED_HINT)
    return table.table(schema.Operator.BUILTIN_OPTIONS)


FAMILIES = (
    elementwise,
    logic,
    movement,
    products,
    rearranging,
    reduction,
    shaping,
    slicing,
    weighted,
)

RULES: dict[str, Rule] = {name: rule for family in FAMILIES for name, rule in family.RULES.items()}
"""Operator name -> how to read it."""
