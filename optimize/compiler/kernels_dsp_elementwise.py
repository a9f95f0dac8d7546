"""Element-wise kernel calls of ``firmware/src/nn/dsp``: Arm cores with the DSP extension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optimize.compiler.exact_sum import SumScaling
from optimize.compiler.kernels import ElementwiseCall, Kernel
from optimize.compiler.kernels_dsp import CLAMP_SOURCE


@dataclass(frozen=True, slots=True)
class DspSumCall(Kernel):
    """An addition or subtraction whose factors give the bytes of ``portable``."""

    SOURCE: ClassVar[str] = "src/nn/dsp/sum.c"
    MORE_SOURCES: ClassVar[tuple[str, ...]] = (CLAMP_SOURCE,)
    HEADER: ClassVar[str] = "flota/nn_dsp_elementwise.h"
    portable: ElementwiseCall
    scaling: SumScaling

    def lead(self, operand: int) -> int | None:
        """As the portable kernel: four values are read at once, all before they are written."""
        return self.portable.lead(operand)


@dataclass(frozen=True, slots=True)
class DspProductCall(Kernel):
    """A multiplication."""

    SOURCE: ClassVar[str] = "src/nn/dsp/product.c"
    MORE_SOURCES: ClassVar[tuple[str, ...]] = (CLAMP_SOURCE,)
    HEADER: ClassVar[str] = "flota/nn_dsp_elementwise.h"
    portable: ElementwiseCall

    def lead(self, operand: int) -> int | None:
        """As the portable kernel: four values are read at once, all before they are written."""
        return self.portable.lead(operand)
