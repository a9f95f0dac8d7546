"""Rules of pooling and means of the DSP extension."""

from __future__ import annotations

from optimize.compiler import kernels_dsp_reduction as dsp
from optimize.compiler.kernels import MeanCall, PoolCall
from optimize.compiler.verify import calls
from optimize.compiler.verify.common import Operands, Rule


def _pool(call: dsp.DspPoolCall, inputs: Operands, outputs: Operands) -> str:
    return calls.RULES[PoolCall](call.portable, inputs, outputs)


def _mean(call: dsp.DspMeanCall, inputs: Operands, outputs: Operands) -> str:
    if call.portable.kept[-1][1] != 1:
        return "what is kept does not lie side by side"
    return calls.RULES[MeanCall](call.portable, inputs, outputs)


RULES: dict[type, Rule] = {dsp.DspPoolCall: _pool, dsp.DspMeanCall: _mean}
