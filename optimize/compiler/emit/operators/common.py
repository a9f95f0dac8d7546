"""What the emitters share: operands, the code they return, and the C text of common structs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from optimize.compiler.emit.text import braces
from optimize.compiler.kernels import Image, Window


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


def struct_text(c_type: str, name: str, fields: dict[str, str | int]) -> str:
    """The parameter struct of one operator; ``name`` is its identifier."""
    lines = "".join(f"    .{field} = {value},\n" for field, value in fields.items())
    return f"static const {c_type} {name}_parameters = {{\n{lines}}};\n"


def call_text(function: str, name: str, operands: Operands) -> tuple[str, ...]:
    """The statement that calls a kernel with its parameter struct, inputs and outputs."""
    return (f"{function}(&{name}_parameters, {', '.join((*operands.inputs, *operands.outputs))});",)


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
