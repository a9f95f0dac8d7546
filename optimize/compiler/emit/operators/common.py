"""What the emitters share: operands, the code they return, and the C text of common structs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from optimize.compiler.emit.text import braces
from optimize.compiler.kernels import MAX_RANK, ElementwiseCall, Image, Window
from optimize.compiler.kernels_values import BroadcastCall

Fields = dict[str, str | int]
"""Members of a parameter struct and their values as C, in the order they are written."""

Axes = tuple[tuple[int, int], ...]
"""(extent, stride) from the outside in."""


@dataclass(frozen=True, slots=True)
class Operands:
    """C expressions of the addresses of an operator's inputs and outputs, and of its scratch (``NULL`` without any)."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scratch: str = "NULL"


@dataclass(frozen=True, slots=True)
class Code:
    """``constants``: definitions at file scope. ``statements``: lines of the body of ``invoke``."""

    constants: tuple[str, ...]
    statements: tuple[str, ...]


def struct_text(c_type: str, name: str, fields: Fields) -> str:
    """The parameter struct of one operator; ``name`` is its identifier."""
    lines = "".join(f"    .{field} = {value},\n" for field, value in fields.items())
    return f"static const {c_type} {name}_parameters = {{\n{lines}}};\n"


def call_text(function: str, name: str, operands: Operands) -> tuple[str, ...]:
    """The statement that calls a kernel with its parameter struct, inputs and outputs."""
    return (f"{function}(&{name}_parameters, {', '.join((*operands.inputs, *operands.outputs))});",)


def scratch_call_text(function: str, name: str, operands: Operands) -> tuple[str, ...]:
    """The same for a kernel that takes scratch as its last argument."""
    return call_text(function, name, replace(operands, outputs=(*operands.outputs, operands.scratch)))


def clamp_text(count: int, clamp: tuple[int, int], operands: Operands) -> tuple[str, ...]:
    """The statement that clamps ``count`` values of output 0 after a kernel of the DSP extension; none for all int8."""
    if clamp == (-128, 127):
        return ()
    return (f"flota_nn_dsp_clamp_s8({count}, {clamp[0]}, {clamp[1]}, {operands.outputs[0]});",)


def walk_fields(extents: tuple[int, ...], strides: tuple[tuple[int, ...], ...]) -> Fields:
    """Members of a kernel that walks inputs which broadcast."""
    return {
        "rank": len(extents),
        "extent": braces(extents, MAX_RANK, 1),
        "stride": "{" + ", ".join(braces(one, MAX_RANK) for one in strides) + "}",
    }


def elementwise_struct(name: str, call: ElementwiseCall | BroadcastCall) -> str:
    """The parameters of a kernel on two inputs which broadcast."""
    fields = walk_fields(call.extents, call.strides) | {
        "input_offset": braces(call.input_offsets),
        "input_multiplier": braces(call.input_multipliers),
        "input_shift": braces(call.input_shifts),
        "multiplier": call.multiplier,
        "shift": call.shift,
        "output_offset": call.output_offset,
        "min": call.clamp[0],
        "max": call.clamp[1],
    }
    return struct_text("flota_nn_elementwise_t", name, fields)


def reduction_fields(kept: Axes, reduced: Axes) -> Fields:
    """Members of a kernel that makes one value of many: three axes each."""
    fields: Fields = {}
    for prefix, axes in (("kept", kept), ("reduced", reduced)):
        padded = ((1, 0),) * (3 - len(axes)) + axes
        fields[f"{prefix}_extent"] = braces(extent for extent, _ in padded)
        fields[f"{prefix}_stride"] = braces(stride for _, stride in padded)
    return fields


def window_fields(source: Image, target: Image, window: Window) -> Fields:
    """Members of a kernel that slides a window over images."""
    return {"input": image_text(source), "output": image_text(target), "window": window_text(window)}


def image_text(image: Image) -> str:
    """Initializer of ``flota_nn_image_t``."""
    return braces((image.batches, image.height, image.width, image.channels))


def window_text(window: Window) -> str:
    """Initializer of ``flota_nn_window_t``."""
    (height, width), (stride_y, stride_x) = window.size, window.stride
    (dilation_y, dilation_x), (pad_y, pad_x) = window.dilation, window.pad
    return (
        f"{{.height = {height}, .width = {width}, .stride_y = {stride_y}, .stride_x = {stride_x}, "
        f".dilation_y = {dilation_y}, .dilation_x = {dilation_x}, .pad_y = {pad_y}, .pad_x = {pad_x}}}"
    )


Emitter = Callable[[str, Any, Operands], Code]
"""(identifier, kernel call, operands) -> C; the identifier prefixes the names of the operator's constants."""
