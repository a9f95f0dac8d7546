"""When an addition, subtraction or multiplication goes to a kernel of the DSP extension."""

from __future__ import annotations

from optimize.compiler.exact_sum import find_sum_scaling
from optimize.compiler.kernels import ElementwiseCall, Kernel
from optimize.compiler.kernels_dsp_elementwise import DspProductCall, DspSumCall

LEAST_SHIFT, MOST_SHIFT = 1, 23
"""Right shifts of a product; its rounding and zero point are added in 32 bits before the shift."""


def choose_elementwise(call: ElementwiseCall) -> Kernel | None:
    """The faster form, where it gives the same bytes for every pair of values."""
    if any(strides[-1] not in (0, 1) for strides in call.strides):
        return None
    if call.kind == "mul":
        exact = call.multiplier >= 1 << 30 and LEAST_SHIFT <= -call.shift <= MOST_SHIFT
        return DspProductCall(call) if exact else None
    scaling = find_sum_scaling(call)
    return None if scaling is None else DspSumCall(call, scaling)
