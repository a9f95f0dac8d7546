"""Pooling and means of ``firmware/src/nn/dsp``: Arm cores with the DSP extension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optimize.compiler.kernels import Kernel, MeanCall, PoolCall
from optimize.compiler.kernels_dsp import CLAMP_SOURCE


@dataclass(frozen=True, slots=True)
class DspPoolCall(Kernel):
    """A pool, four channels at a time."""

    SOURCE: ClassVar[str] = "src/nn/dsp/pool.c"
    MORE_SOURCES: ClassVar[tuple[str, ...]] = (CLAMP_SOURCE,)
    HEADER: ClassVar[str] = "flota/nn_dsp_reduction.h"
    portable: PoolCall

    def lead(self, operand: int) -> int | None:
        """As the portable kernel: the windows of four channels are read before the four values are written."""
        return self.portable.lead(operand)


@dataclass(frozen=True, slots=True)
class DspMeanCall(Kernel):
    """A mean, four neighbours at a time."""

    SOURCE: ClassVar[str] = "src/nn/dsp/mean.c"
    HEADER: ClassVar[str] = "flota/nn_dsp_reduction.h"
    portable: MeanCall

    def lead(self, operand: int) -> int | None:
        """As the portable kernel: what four values sum is read before they are written."""
        return self.portable.lead(operand)
