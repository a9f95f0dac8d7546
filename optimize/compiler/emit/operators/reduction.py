"""C of the kernels that make one value of many."""

from __future__ import annotations

from optimize.compiler import kernels
from optimize.compiler.emit.operators.common import (
    Code,
    Emitter,
    Operands,
    call_text,
    image_text,
    struct_text,
    window_text,
)
from optimize.compiler.emit.text import braces


def _pool(name: str, call: kernels.PoolCall, operands: Operands) -> Code:
    fields: dict[str, str | int] = {
        "input": image_text(call.input),
        "output": image_text(call.output),
        "window": window_text(call.window),
        "min": call.clamp[0],
        "max": call.clamp[1],
    }
    struct = struct_text("flota_nn_pool_t", name, fields)
    return Code((struct,), call_text(f"flota_nn_{call.kind}_pool_s8", name, operands))


def _mean(name: str, call: kernels.MeanCall, operands: Operands) -> Code:
    fields: dict[str, str | int] = {}
    for prefix, axes in (("kept", call.kept), ("reduced", call.reduced)):
        padded = ((1, 0),) * (3 - len(axes)) + axes
        fields[f"{prefix}_extent"] = braces(extent for extent, _ in padded)
        fields[f"{prefix}_stride"] = braces(stride for _, stride in padded)
    fields |= {
        "sum_offset": call.sum_offset,
        "multiplier": call.multiplier,
        "shift": call.shift,
        "output_offset": call.output_offset,
    }
    return Code((struct_text("flota_nn_mean_t", name, fields),), call_text("flota_nn_mean_s8", name, operands))


EMITTERS: dict[type, Emitter] = {
    kernels.PoolCall: _pool,
    kernels.MeanCall: _mean,
}
