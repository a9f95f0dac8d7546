"""Kernel calls as C: a table from the class of the call to the function that writes it.

Each emitter returns the operator's constants (arrays and one parameter struct) and the statements that run it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from optimize.compiler import kernels
from optimize.compiler.emit.text import braces, byte_array, number_array
from optimize.compiler.ir import Op
from optimize.compiler.kernels import MAX_RANK, Image, Requantize, Window


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


def emit_operator(identifier: str, op: Op, operands: Operands) -> Code:
    """C of one lowered operator; ``identifier`` prefixes the names of its constants."""
    return EMITTERS[type(op.payload)](identifier, op.payload, operands)


def _struct(c_type: str, name: str, fields: dict[str, str | int]) -> str:
    lines = "".join(f"    .{field} = {value},\n" for field, value in fields.items())
    return f"static const {c_type} {name}_parameters = {{\n{lines}}};\n"


def _call(function: str, name: str, operands: Operands) -> tuple[str, ...]:
    return (f"{function}(&{name}_parameters, {', '.join((*operands.inputs, *operands.outputs))});",)


def _image(image: Image) -> str:
    return braces((image.batches, image.height, image.width, image.channels))


def _window(window: Window) -> str:
    (height, width), (stride_y, stride_x) = window.size, window.stride
    (dilation_y, dilation_x), (pad_y, pad_x) = window.dilation, window.pad
    return (
        f"{{.height = {height}, .width = {width}, .stride_y = {stride_y}, .stride_x = {stride_x}, "
        f".dilation_y = {dilation_y}, .dilation_x = {dilation_x}, .pad_y = {pad_y}, .pad_x = {pad_x}}}"
    )


def _weighted_constants(name: str, call: Any) -> tuple[list[str], dict[str, str | int]]:
    """Arrays of a call with weights, and the struct fields every such call ends with."""
    q: Requantize = call.requantize
    arrays = [byte_array(f"{name}_weights", call.weights)]
    if call.bias is not None:
        arrays.append(number_array("int32_t", f"{name}_bias", call.bias))
    arrays.append(number_array("int32_t", f"{name}_multiplier", q.multipliers))
    arrays.append(number_array("int8_t", f"{name}_shift", q.shifts))
    requantize = (
        f"{{.multiplier = {name}_multiplier, .shift = {name}_shift, .channel_step = {int(len(q.shifts) > 1)}, "
        f".offset = {q.offset}, .min = {q.clamp[0]}, .max = {q.clamp[1]}}}"
    )
    fields: dict[str, str | int] = {
        "input_offset": call.input_offset,
        "requantize": requantize,
        "weights": f"{name}_weights",
        "bias": "NULL" if call.bias is None else f"{name}_bias",
    }
    return arrays, fields


def _conv(name: str, call: kernels.ConvCall, operands: Operands) -> Code:
    arrays, fields = _weighted_constants(name, call)
    head: dict[str, str | int] = {
        "input": _image(call.input),
        "output": _image(call.output),
        "window": _window(call.window),
        "group_channels": call.group_channels,
    }
    struct = _struct("flota_nn_conv_t", name, head | fields)
    return Code((*arrays, struct), _call("flota_nn_conv_s8", name, operands))


def _depthwise(name: str, call: kernels.DepthwiseCall, operands: Operands) -> Code:
    arrays, fields = _weighted_constants(name, call)
    head: dict[str, str | int] = {
        "input": _image(call.input),
        "output": _image(call.output),
        "window": _window(call.window),
    }
    struct = _struct("flota_nn_depthwise_t", name, head | fields)
    return Code((*arrays, struct), _call("flota_nn_depthwise_s8", name, operands))


def _fully_connected(name: str, call: kernels.FullyConnectedCall, operands: Operands) -> Code:
    arrays, fields = _weighted_constants(name, call)
    head: dict[str, str | int] = {
        "batches": call.batches,
        "in_features": call.in_features,
        "out_features": call.out_features,
    }
    struct = _struct("flota_nn_fully_connected_t", name, head | fields)
    return Code((*arrays, struct), _call("flota_nn_fully_connected_s8", name, operands))


def _pool(name: str, call: kernels.PoolCall, operands: Operands) -> Code:
    fields: dict[str, str | int] = {
        "input": _image(call.input),
        "output": _image(call.output),
        "window": _window(call.window),
        "min": call.clamp[0],
        "max": call.clamp[1],
    }
    struct = _struct("flota_nn_pool_t", name, fields)
    return Code((struct,), _call(f"flota_nn_{call.kind}_pool_s8", name, operands))


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
    return Code((_struct("flota_nn_mean_t", name, fields),), _call("flota_nn_mean_s8", name, operands))


def _elementwise(name: str, call: kernels.ElementwiseCall, operands: Operands) -> Code:
    fields: dict[str, str | int] = {
        "rank": len(call.extents),
        "extent": braces(call.extents, MAX_RANK, 1),
        "stride": "{" + ", ".join(braces(strides, MAX_RANK) for strides in call.strides) + "}",
        "input_offset": braces(call.input_offsets),
        "input_multiplier": braces(call.input_multipliers),
        "input_shift": braces(call.input_shifts),
        "multiplier": call.multiplier,
        "shift": call.shift,
        "output_offset": call.output_offset,
        "min": call.clamp[0],
        "max": call.clamp[1],
    }
    struct = _struct("flota_nn_elementwise_t", name, fields)
    return Code((struct,), _call(f"flota_nn_{call.kind}_s8", name, operands))


def _pad(name: str, call: kernels.PadCall, operands: Operands) -> Code:
    fields: dict[str, str | int] = {
        "rank": len(call.extents),
        "extent": braces(call.extents, MAX_RANK, 1),
        "before": braces(call.before, MAX_RANK),
        "after": braces(call.after, MAX_RANK),
        "value": call.value,
    }
    return Code((_struct("flota_nn_pad_t", name, fields),), _call("flota_nn_pad_s8", name, operands))


def _transpose(name: str, call: kernels.TransposeCall, operands: Operands) -> Code:
    fields: dict[str, str | int] = {
        "rank": len(call.extents),
        "extent": braces(call.extents, MAX_RANK, 1),
        "stride": braces(call.strides, MAX_RANK),
    }
    struct = _struct("flota_nn_transpose_t", name, fields)
    return Code((struct,), _call("flota_nn_transpose_s8", name, operands))


def _concat(name: str, call: kernels.ConcatCall, operands: Operands) -> Code:
    stride, start, statements = sum(call.row_bytes), 0, []
    for source, run in zip(operands.inputs, call.row_bytes, strict=True):
        target = f"{operands.outputs[0]} + {start}" if start else operands.outputs[0]
        statements.append(f"flota_nn_concat({call.rows}, {run}, {stride}, {source}, {target});")
        start += run
    return Code((), tuple(statements))


def _softmax(name: str, call: kernels.SoftmaxCall, operands: Operands) -> Code:
    fields: dict[str, str | int] = {
        "rows": call.rows,
        "depth": call.depth,
        "multiplier": call.multiplier,
        "left_shift": call.left_shift,
        "diff_min": call.diff_min,
    }
    return Code((_struct("flota_nn_softmax_t", name, fields),), _call("flota_nn_softmax_s8", name, operands))


def _lookup(name: str, call: kernels.LookupCall, operands: Operands) -> Code:
    table = number_array("int8_t", f"{name}_table", call.table)
    arguments = f"{call.count}, {name}_table, {operands.inputs[0]}, {operands.outputs[0]}"
    return Code((table,), (f"flota_nn_lookup_s8({arguments});",))


def _quantize(name: str, call: kernels.QuantizeCall, operands: Operands) -> Code:
    return Code((), (f"flota_nn_quantize_f32_s8({_affine(call, operands)});",))


def _dequantize(name: str, call: kernels.DequantizeCall, operands: Operands) -> Code:
    return Code((), (f"flota_nn_dequantize_s8_f32({_affine(call, operands)});",))


def _affine(call: kernels.QuantizeCall | kernels.DequantizeCall, operands: Operands) -> str:
    # A hexadecimal literal holds the float32 exactly.
    return f"{call.count}, {call.scale.hex()}f, {call.zero_point}, {operands.inputs[0]}, {operands.outputs[0]}"


EMITTERS: dict[type, Callable[[str, Any, Operands], Code]] = {
    kernels.ConvCall: _conv,
    kernels.DepthwiseCall: _depthwise,
    kernels.FullyConnectedCall: _fully_connected,
    kernels.PoolCall: _pool,
    kernels.MeanCall: _mean,
    kernels.ElementwiseCall: _elementwise,
    kernels.PadCall: _pad,
    kernels.TransposeCall: _transpose,
    kernels.ConcatCall: _concat,
    kernels.SoftmaxCall: _softmax,
    kernels.LookupCall: _lookup,
    kernels.QuantizeCall: _quantize,
    kernels.DequantizeCall: _dequantize,
}
