"""Element-wise calls of the DSP extension as C."""

from __future__ import annotations

import math

from optimize.compiler import kernels_dsp_elementwise as dsp
from optimize.compiler.emit.operators.common import (
    Code,
    Emitter,
    Operands,
    call_text,
    clamp_text,
    struct_text,
    walk_fields,
)
from optimize.compiler.emit.text import braces
from optimize.compiler.kernels import ElementwiseCall


def _sum(name: str, call: dsp.DspSumCall, operands: Operands) -> Code:
    scaling = call.scaling
    fields = walk_fields(call.portable.extents, call.portable.strides)
    fields |= {"left": scaling.left, "right": scaling.right, "bias": scaling.bias}
    struct = struct_text("flota_nn_dsp_sum_t", name, fields)
    statements = call_text(f"flota_nn_dsp_sum_shift{scaling.shift}_s8", name, operands)
    return Code((struct,), (*statements, *_clamped(call.portable, operands)))


def _product(name: str, call: dsp.DspProductCall, operands: Operands) -> Code:
    portable = call.portable
    fields = walk_fields(portable.extents, portable.strides) | {
        "input_zero": braces(-offset for offset in portable.input_offsets),
        "multiplier": portable.multiplier,
        "shift": -portable.shift,
        "bias": (1 << (-portable.shift - 1)) + portable.output_offset * (1 << -portable.shift),
    }
    struct = struct_text("flota_nn_dsp_product_t", name, fields)
    statements = call_text("flota_nn_dsp_product_s8", name, operands)
    return Code((struct,), (*statements, *_clamped(portable, operands)))


def _clamped(call: ElementwiseCall, operands: Operands) -> tuple[str, ...]:
    return clamp_text(math.prod(call.extents), call.clamp, operands)


EMITTERS: dict[type, Emitter] = {dsp.DspSumCall: _sum, dsp.DspProductCall: _product}
