"""What the readers of all operators share: the operator as it is read, its rule, and the enums of options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from optimize.compiler import schema
from optimize.compiler.flatbuffer import TRUNCATED_HINT, Table
from optimize.compiler.ir import Activation, Padding, SourcePayload, Tensor
from optimize.errors import InvalidModel, UnsupportedOperator

MAX_OPERANDS = 1024
"""Inputs or outputs of one operator, or of the graph."""


@dataclass(frozen=True, slots=True)
class Context:
    """One operator while it is read: its label for errors, its options (None where absent) and its operands."""

    label: str
    options: Table | None
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    settled: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Shapes found for results that the file leaves open: output -> shape."""
    kept: list[int] = field(default_factory=list)
    """Places of the operands needed at run time, where that depends on more than the rule; else empty."""

    def required(self) -> Table:
        """The options, of an operator that cannot do without."""
        if self.options is None:
            raise InvalidModel(f"{self.label}: its options are missing", hint=TRUNCATED_HINT)
        return self.options

    def constant(self, operand: int, what: str) -> tuple[int, ...]:
        """The integers of a constant int32 or int64 operand."""
        tensor = self.inputs[operand]
        if tensor.dtype not in ("int32", "int64") or tensor.data is None:
            raise UnsupportedOperator(
                f"{self.label}: {what} must be constant int32",
                hint="export the model with fixed shapes so that the converter folds it",
            )
        return tuple(int(value) for value in np.frombuffer(tensor.data, "<i4" if tensor.dtype == "int32" else "<i8"))

    def axis(self, value: int, rank: int) -> int:
        """``value`` as an axis that is not negative, of a tensor of ``rank`` axes."""
        if not -rank <= value < rank:
            raise self.invalid(f"axis {value} of a tensor of rank {rank}")
        return value % rank

    def expect(self, shape: tuple[int, ...], output: int = 0) -> None:
        """Refuse a result of another shape; one that the file leaves open has this shape from now on."""
        if self.outputs[output].open_shape:
            self.settled[output] = shape
        elif self.outputs[output].shape != shape:
            raise self.invalid(f"output {list(self.outputs[output].shape)}, expected {list(shape)}")

    def invalid(self, problem: str) -> InvalidModel:
        """The error of a file that contradicts itself."""
        return InvalidModel(f"{self.label}: {problem}", hint=TRUNCATED_HINT)

    def unsupported(self, problem: str, hint: str) -> UnsupportedOperator:
        """The error of a value the compiler has no code for."""
        return UnsupportedOperator(f"{self.label}: {problem}", hint=hint)


@dataclass(frozen=True, slots=True)
class Rule:
    """How to read one operator.

    ``inputs`` and ``outputs`` give the allowed numbers of operands, ``runtime_inputs`` which inputs are needed at run
    time and in which order (a number: the first so many; None: all), ``options_type`` the member of the options union
    it uses (0: none are read).
    """

    read: Callable[[Context], SourcePayload]
    inputs: range
    options_type: int = 0
    runtime_inputs: int | tuple[int, ...] | None = None
    outputs: range = range(1, 2)

    def operands(self, count: int) -> tuple[int, ...]:
        """Places of the operands needed at run time, of ``count`` that are there."""
        if self.runtime_inputs is None:
            return tuple(range(count))
        places = range(self.runtime_inputs) if isinstance(self.runtime_inputs, int) else self.runtime_inputs
        return tuple(place for place in places if place < count)


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


ONE, TWO, MANY = range(1, 2), range(2, 3), range(1, MAX_OPERANDS + 1)
