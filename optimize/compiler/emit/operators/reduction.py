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
    return Code((pool_struct(name, call),), call_text(f"flota_nn_{call.kind}_pool_s8", name, operands))


def pool_struct(name: str, call: kernels.PoolCall) -> str:
    """The parameters of a pooling kernel."""
    fields: dict[str, str | int] = {
        "input": image_text(call.input),
        "output": image_text(call.output),
        "window": window_text(call.window),
        "min": call.clamp[0],
        "max": call.clamp[1],
    }
    return struct_text("flota_nn_pool_t", name, fields)


def _mean(name: str, call: kernels.MeanCall, operands: Operands) -> Code:
    return Code((mean_struct(name, call),), call_text("flota_nn_mean_s8", name, operands))


def mean_struct(name: str, call: kernels.MeanCall) -> str:
    """The parameters of a mean kernel."""
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
    return struct_text("flota_nn_mean_t", name, fields)


EMITTERS: dict[type, Emitter] = {
    kernels.PoolCall: _pool,
    kernels.MeanCall: _mean,
}
