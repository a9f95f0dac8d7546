"""Pooling and means of the DSP extension as C."""

from __future__ import annotations

from optimize.compiler import kernels_dsp_reduction as dsp
from optimize.compiler.emit.operators.common import Code, Emitter, Operands, call_text, clamp_text
from optimize.compiler.emit.operators.reduction import mean_struct, pool_struct


def _pool(name: str, call: dsp.DspPoolCall, operands: Operands) -> Code:
    pool = call.portable
    statements = call_text(f"flota_nn_dsp_{pool.kind}_pool_s8", name, operands)
    return Code((pool_struct(name, pool),), (*statements, *clamp_text(pool.output.elements, pool.clamp, operands)))


def _mean(name: str, call: dsp.DspMeanCall, operands: Operands) -> Code:
    return Code((mean_struct(name, call.portable),), call_text("flota_nn_dsp_mean_s8", name, operands))


EMITTERS: dict[type, Emitter] = {dsp.DspPoolCall: _pool, dsp.DspMeanCall: _mean}
