"""C of the kernels that make one value of many."""

from __future__ import annotations

from optimize.compiler import kernels
from optimize.compiler.emit.operators.common import (
    Code,
    Emitter,
    Fields,
    Operands,
    call_text,
    reduction_fields,
    struct_text,
    window_fields,
)


def _pool(name: str, call: kernels.PoolCall, operands: Operands) -> Code:
    return Code((pool_struct(name, call),), call_text(f"flota_nn_{call.kind}_pool_s8", name, operands))


def pool_struct(name: str, call: kernels.PoolCall) -> str:
    """The parameters of a pooling kernel."""
    fields: Fields = {
        **window_fields(call.input, call.output, call.window),
        "min": call.clamp[0],
        "max": call.clamp[1],
    }
    return struct_text("flota_nn_pool_t", name, fields)


def _mean(name: str, call: kernels.MeanCall, operands: Operands) -> Code:
    return Code((mean_struct(name, call),), call_text("flota_nn_mean_s8", name, operands))


def mean_struct(name: str, call: kernels.MeanCall) -> str:
    """The parameters of a mean kernel."""
    fields = reduction_fields(call.kept, call.reduced) | {
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
