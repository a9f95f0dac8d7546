"""Kernel calls with state of their own, and the product of two matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from optimize.compiler.kernels import Kernel

Factor = tuple[int, int]
"""A real factor as (multiplier, shift)."""

INT16 = (-(1 << 15), (1 << 15) - 1)


@dataclass(frozen=True, slots=True)
class SvdfCall(Kernel):
    """Feature weights [filter][in], time weights [filter][memory] of the state's type, little-endian."""

    SOURCE: ClassVar[str] = "src/nn/svdf.c"
    UPDATES_STATE: ClassVar[bool] = True
    state_type: Literal["int8", "int16"]
    batches: int
    in_features: int
    filters: int
    rank: int
    memory: int
    input_offset: int
    feature_factor: Factor
    state_zero_point: int
    factor: Factor
    output_offset: int
    feature_weights: bytes
    time_weights: bytes
    bias: tuple[int, ...] | None

    @property
    def constant_bytes(self) -> int:
        """See ``Kernel``."""
        return len(self.feature_weights) + len(self.time_weights) + 4 * len(self.bias or ())


@dataclass(frozen=True, slots=True)
class LstmGate:
    """Weights [unit][in] and [unit][unit]."""

    input_factor: Factor
    recurrent_factor: Factor
    input_weights: bytes
    recurrent_weights: bytes
    bias: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LstmCall(Kernel):
    """``gates``: input, forget, cell, output. ``rows`` are the steps of the input's rows by (batch, time)."""

    SOURCE: ClassVar[str] = "src/nn/lstm.c"
    MORE_SOURCES: ClassVar[tuple[str, ...]] = ("src/nn/sigmoid_s16.c",)
    UPDATES_STATE: ClassVar[bool] = True
    batches: int
    steps: int
    in_features: int
    units: int
    rows: tuple[int, int]
    input_offset: int
    hidden_offset: int
    gates: tuple[LstmGate, LstmGate, LstmGate, LstmGate]
    forget: Factor
    update: Factor
    output: Factor
    cell_argument: Factor
    """(multiplier, right shift) that bring the cell state to the argument of tanh."""
    cell_bounds: tuple[int, int]
    """Least and greatest cell state, within int16."""

    @property
    def constant_bytes(self) -> int:
        """See ``Kernel``."""
        return sum(len(gate.input_weights) + len(gate.recurrent_weights) + 4 * len(gate.bias) for gate in self.gates)


@dataclass(frozen=True, slots=True)
class BatchMatMulCall(Kernel):
    """Products over three batch axes; strides in elements, (to the next row or column, to the next of the sum)."""

    SOURCE: ClassVar[str] = "src/nn/batch_matmul.c"
    batch: tuple[int, ...]
    left_batch: tuple[int, ...]
    right_batch: tuple[int, ...]
    rows: int
    columns: int
    depth: int
    left_strides: tuple[int, int]
    right_strides: tuple[int, int]
    left_offset: int
    right_offset: int
    factor: Factor
    output_offset: int
