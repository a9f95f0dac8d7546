"""When a pool or a mean goes to a kernel of the DSP extension."""

from __future__ import annotations

from optimize.compiler.kernels import Kernel, MeanCall, PoolCall
from optimize.compiler.kernels_dsp_reduction import DspMeanCall, DspPoolCall

LARGEST_WINDOW = 5000
"""Pixels of an average: beyond, the division by multiplication would not be exact."""

QUAD = 4
"""Neighbours the kernels take at once; with less they gain nothing."""


def choose_pool(call: PoolCall) -> Kernel | None:
    """The faster form of a pool with four channels or more."""
    small = call.kind == "max" or call.window.size[0] * call.window.size[1] < LARGEST_WINDOW
    return DspPoolCall(call) if small and call.output.channels >= QUAD else None


def choose_mean(call: MeanCall) -> Kernel | None:
    """The faster form where what is kept lies side by side."""
    extent, stride = call.kept[-1]
    return DspMeanCall(call) if stride == 1 and extent >= QUAD else None
