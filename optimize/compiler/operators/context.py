"""What the readers of all operators share: the operator as it is read, its rule, and the enums of options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np

from optimize.compiler import schema
from optimize.compiler.flatbuffer import TRUNCATED_HINT, Table
from optimize.compiler.ir import Activation, Padding, SourcePayload, Tensor
from optimize.errors import InvalidModel, UnsupportedOperator


@dataclass(frozen=True, slots=True)
class Context:
    """One operator while it is read: its label for errors, its options (None where absent) and its operands."""

    label: str
    options: Table | None
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def required(self) -> Table:
        """The options, of an operator that cannot do without."""
        if self.options is None:
            raise InvalidModel(f"{self.label}: its options are missing", hint=TRUNCATED_HINT)
        return self.options

    def constant(self, operand: int, what: str) -> tuple[int, ...]:
        """The integers of a constant int32 operand."""
        tensor = self.inputs[operand]
        if tensor.dtype != "int32" or tensor.data is None:
            raise UnsupportedOperator(
                f"{self.label}: {what} must be constant int32",
                hint="export the model with fixed shapes so that the converter folds it",
            )
        return tuple(int(value) for value in np.frombuffer(tensor.data, "<i4"))


@dataclass(frozen=True, slots=True)
class Rule:
    """How to read one operator.

    ``inputs`` gives the allowed numbers of inputs, ``runtime_inputs`` how many of them are needed at run time (None:
    all), ``options_type`` the member of the options union it uses (0: none are read).
    """

    read: Callable[[Context], SourcePayload]
    inputs: range
    options_type: int = 0
    runtime_inputs: int | None = None


def read_activation(context: Context, code: int) -> Activation:
    """A fused activation the kernels can clamp to."""
    name = schema.ACTIVATIONS[code] if 0 <= code < len(schema.ACTIVATIONS) else str(code)
    if name not in ("NONE", "RELU", "RELU_N1_TO_1", "RELU6"):
        raise UnsupportedOperator(
            f"{context.label}: fused activation {name}", hint="use RELU, RELU6 or a separate activation layer"
        )
    return cast("Activation", name)


def read_padding(context: Context, code: int) -> Padding:
    """A member of the enum ``Padding``."""
    if not 0 <= code < len(schema.PADDINGS):
        raise InvalidModel(f"{context.label}: padding {code} is not in the schema", hint=TRUNCATED_HINT)
    return cast("Padding", schema.PADDINGS[code])


def read_pair(context: Context, what: str, vertical: int, horizontal: int) -> tuple[int, int]:
    """A (vertical, horizontal) pair of positive sizes; ``what`` names it in the error."""
    if not (1 <= vertical <= 4096 and 1 <= horizontal <= 4096):
        raise InvalidModel(f"{context.label}: {what} {vertical}x{horizontal}", hint=TRUNCATED_HINT)
    return vertical, horizontal


ONE, TWO = range(1, 2), range(2, 3)
