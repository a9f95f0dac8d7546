"""Rules of the element-wise calls of the DSP extension."""

from __future__ import annotations

from optimize.compiler import kernels_dsp_elementwise as dsp
from optimize.compiler.kernels import ElementwiseCall
from optimize.compiler.verify import calls
from optimize.compiler.verify.common import Operands, Rule


def _elementwise(call: dsp.DspSumCall | dsp.DspProductCall, inputs: Operands, outputs: Operands) -> str:
    if any(strides[-1] not in (0, 1) for strides in call.portable.strides):
        return "an operand does not lie in one piece along the last axis"
    return calls.RULES[ElementwiseCall](call.portable, inputs, outputs)


RULES: dict[type, Rule] = {dsp.DspSumCall: _elementwise, dsp.DspProductCall: _elementwise}
