"""Calls of ``firmware/src/nn/dsp`` with state of their own, and of the product of two tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optimize.compiler.kernels import Kernel
from optimize.compiler.kernels_dsp import Gemm, words
from optimize.compiler.kernels_recurrent import BatchMatMulCall, LstmCall, SvdfCall

HEADER = "flota/nn_dsp_recurrent.h"


def _quads_bytes(*counts: int) -> int:
    """Scratch for a column that is not whole words."""
    return max((words(count) for count in counts if count % 4), default=0)


@dataclass(frozen=True, slots=True)
class DspLstmCall(Kernel):
    """``portable`` has all but the weights, which ``input`` and ``recurrent`` hold as [unit][gate] channels."""

    SOURCE: ClassVar[str] = "src/nn/dsp/lstm.c"
    HEADER: ClassVar[str] = HEADER
    UPDATES_STATE: ClassVar[bool] = True
    portable: LstmCall
    input: Gemm
    recurrent: Gemm

    @property
    def sources(self) -> tuple[str, ...]:
        """The kernel, its matrix products and the table of its activations."""
        return (self.SOURCE, "src/nn/sigmoid_s16.c", *sorted({self.input.source, self.recurrent.source}))

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return self.input.constant_bytes + self.recurrent.constant_bytes

    @property
    def scratch_bytes(self) -> int:
        """As nn_dsp_recurrent.h asks."""
        return 8 * self.portable.units + _quads_bytes(self.portable.in_features, self.portable.units)


@dataclass(frozen=True, slots=True)
class DspSvdfCall(Kernel):
    """``portable`` has all but the feature weights, which ``features`` holds, and the biases.

    ``small_sums``: the sums over time can be rounded in 32 bits.
    """

    SOURCE: ClassVar[str] = "src/nn/dsp/svdf.c"
    HEADER: ClassVar[str] = HEADER
    UPDATES_STATE: ClassVar[bool] = True
    portable: SvdfCall
    features: Gemm
    biases: tuple[int, ...]
    small_sums: bool

    @property
    def sources(self) -> tuple[str, ...]:
        """The kernel and its matrix product."""
        return (self.SOURCE, self.features.source)

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return self.features.constant_bytes + len(self.portable.time_weights) + 4 * len(self.biases)

    @property
    def scratch_bytes(self) -> int:
        """As nn_dsp_recurrent.h asks."""
        return 2 * words(self.portable.filters) + _quads_bytes(self.portable.in_features)


@dataclass(frozen=True, slots=True)
class DspBatchMatMulCall(Kernel):
    """``portable`` says all; ``small_sums``: the sums can be rounded in 32 bits."""

    SOURCE: ClassVar[str] = "src/nn/dsp/batch_matmul.c"
    HEADER: ClassVar[str] = HEADER
    portable: BatchMatMulCall
    small_sums: bool

    @property
    def scratch_bytes(self) -> int:
        """As nn_dsp_recurrent.h asks."""
        return 4 * words(self.portable.depth)
