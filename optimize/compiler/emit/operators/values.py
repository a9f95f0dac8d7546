"""C of the kernels that compare, reduce, normalize and enlarge."""

from __future__ import annotations

from optimize.compiler.emit.operators.common import (
    Code,
    Emitter,
    Fields,
    Operands,
    call_text,
    elementwise_struct,
    image_text,
    reduction_fields,
    struct_text,
)
from optimize.compiler.kernels_image import ResizeBilinearCall
from optimize.compiler.kernels_values import ArgCall, BroadcastCall, ExtremeCall, L2NormalizationCall


def _broadcast(name: str, call: BroadcastCall, operands: Operands) -> Code:
    return Code((elementwise_struct(name, call),), call_text(f"flota_nn_{call.kind}_s8", name, operands))


def _extreme(name: str, call: ExtremeCall, operands: Operands) -> Code:
    fields = reduction_fields(call.kept, call.reduced)
    struct = struct_text("flota_nn_reduce_t", name, fields)
    return Code((struct,), call_text(f"flota_nn_reduce_{call.kind}_s8", name, operands))


def _arg(name: str, call: ArgCall, operands: Operands) -> Code:
    arguments = f"{call.outer}, {call.count}, {call.inner}, {operands.inputs[0]}, {operands.outputs[0]}"
    return Code((), (f"flota_nn_arg_{call.kind}_s8({arguments});",))


def _l2_normalization(name: str, call: L2NormalizationCall, operands: Operands) -> Code:
    arguments = f"{call.rows}, {call.depth}, {call.input_offset}, {operands.inputs[0]}, {operands.outputs[0]}"
    return Code((), (f"flota_nn_l2_normalization_s8({arguments});",))


def _resize_bilinear(name: str, call: ResizeBilinearCall, operands: Operands) -> Code:
    fields: Fields = {
        "input": image_text(call.input),
        "output": image_text(call.output),
        "scale_y": call.scales[0],
        "scale_x": call.scales[1],
        "offset_y": call.offsets[0],
        "offset_x": call.offsets[1],
    }
    struct = struct_text("flota_nn_resize_bilinear_t", name, fields)
    return Code((struct,), call_text("flota_nn_resize_bilinear_s8", name, operands))


EMITTERS: dict[type, Emitter] = {
    ArgCall: _arg,
    BroadcastCall: _broadcast,
    ExtremeCall: _extreme,
    L2NormalizationCall: _l2_normalization,
    ResizeBilinearCall: _resize_bilinear,
}
