"""What the lowerings share: scales, factors, clamps, and the conditions of the interpreter they check."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optimize.compiler import ir
from optimize.compiler.fixed_point import INT32_MAX, float32, quantize_multiplier, round_half_away
from optimize.compiler.geometry import contiguous_strides, conv_padding
from optimize.compiler.ir import Op, Tensor
from optimize.compiler.kernels import MAX_RANK, Image, Window
from optimize.errors import InvalidModel, UnsupportedOperator

QUANT_HINT = "convert the model with full int8 quantization"


SCALE_HINT = "check the representative data set the model was quantized with"


SAME_SCALE_TOLERANCE = 1e-6
"""How far apart scales may be that the interpreter takes for equal where an operator keeps its input's scale."""


def quant_of(op: Op, tensor: Tensor) -> tuple[float, int]:
    """(scale, zero point) of a tensor that must be quantized as a whole."""
    if tensor.quant is None:
        raise InvalidModel(f"{op.label}: tensor {tensor.name} is not quantized", hint=QUANT_HINT)
    if len(tensor.quant.scales) != 1:
        raise InvalidModel(f"{op.label}: tensor {tensor.name} has a scale per channel", hint=QUANT_HINT)
    return tensor.quant.scales[0], tensor.quant.zero_points[0]


def factor_of(op: Op, real: float) -> tuple[int, int]:
    """A real factor as (multiplier, shift)."""
    if not math.isfinite(real) or real >= 2.0**30:
        raise InvalidModel(f"{op.label}: its scales give a factor of {real:g}", hint=SCALE_HINT)
    return quantize_multiplier(real)


def small_factor(op: Op, real: float) -> tuple[int, int]:
    """A multiplier the interpreter only takes under 1."""
    if not 0.0 < real < 1.0:
        raise InvalidModel(f"{op.label}: its scales give a factor of {real:g}, it must be under 1", hint=SCALE_HINT)
    multiplier, shift = quantize_multiplier(real)
    if shift > 0:
        raise InvalidModel(f"{op.label}: its scales give a factor of {real!r}, too close to 1", hint=SCALE_HINT)
    return multiplier, shift


def clamp_of(op: Op, activation: ir.Activation, output: Tensor) -> tuple[int, int]:
    """The int8 range a fused activation leaves; the bounds are rounded in float32 like the interpreter's."""
    scale, zero_point = quant_of(op, output)

    def stored(real: float) -> int:
        steps = float32(real) / scale
        if abs(steps) >= 2.0**31:
            raise InvalidModel(f"{op.label}: output scale {scale:g} is too small for {activation}", hint=SCALE_HINT)
        return zero_point + round_half_away(float32(steps))

    low, high = -128, 127
    if activation in ("RELU", "RELU6"):
        low = max(low, stored(0.0))
    if activation == "RELU6":
        high = min(high, stored(6.0))
    if activation == "RELU_N1_TO_1":
        low, high = max(low, stored(-1.0)), min(high, stored(1.0))
    return low, high


def check_sums(op: Op, weights: np.ndarray[Any, Any], bias: tuple[int, ...] | None, zero_point: int) -> None:
    """Prove that no sum leaves int32, so the kernels need no wider accumulator.

    ``weights``: int8 [channels][taps]; ``zero_point`` is the input's.
    """
    reach = max(abs(-128 - zero_point), abs(127 - zero_point))
    sums = np.abs(weights.astype(np.int64)).sum(axis=1) * reach
    if bias is not None:
        sums += np.abs(np.array(bias, np.int64))
    if int(sums.max()) > INT32_MAX:
        raise InvalidModel(f"{op.label}: a sum can leave 32 bits; its biases are out of range", hint=SCALE_HINT)


def image_of(tensor: Tensor) -> Image:
    """The dimensions of an NHWC tensor."""
    return Image(*tensor.shape)


def window_of(payload: ir.Conv2D | ir.DepthwiseConv2D | ir.Pool, image: Image, size: tuple[int, int]) -> Window:
    """The window a kernel slides over ``image``, with the padding that precedes it."""
    dilation = (1, 1) if isinstance(payload, ir.Pool) else payload.dilation
    top, _, left, _ = conv_padding(payload, (image.height, image.width), size, dilation)
    return Window(size, payload.stride, dilation, (top, left))


def constant_of(op: Op, tensor: Tensor, what: str) -> bytes:
    """The data of an operand that must be constant; ``what`` names it in the error."""
    if tensor.data is None:
        raise UnsupportedOperator(f"{op.label}: its {what} are computed at run time", hint="make them constants")
    return tensor.data


def require_same_quant(op: Op, tensor: Tensor, output: Tensor, tolerance: float = 0.0) -> None:
    """Refuse an operator that keeps its input's scale where the output's is another."""
    (scale, zero_point), (out_scale, out_zero) = quant_of(op, tensor), quant_of(op, output)
    if zero_point != out_zero or abs(scale - out_scale) > tolerance:
        raise UnsupportedOperator(
            f"{op.label}: {tensor.name} and {output.name} have different scales",
            hint="the interpreter refuses this too; convert the model again with a current converter",
        )


def require_output(op: Op, output: Tensor, scale: float, zero_point: int, tolerance: float = 0.0) -> None:
    """Refuse an output that is not quantized the one way the operator allows."""
    out_scale, out_zero = quant_of(op, output)
    if out_zero != zero_point or abs(out_scale - scale) > tolerance:
        raise UnsupportedOperator(
            f"{op.label}: output scale {out_scale:g}, zero point {out_zero}; it must be {scale:g}, {zero_point}",
            hint="the interpreter refuses this too; convert the model again with a current converter",
        )


def broadcast_strides(tensor: Tensor, output: Tensor) -> tuple[int, ...]:
    """Elements to step in ``tensor`` along each axis of ``output``; 0 where it repeats."""
    shape = (1,) * (len(output.shape) - len(tensor.shape)) + tensor.shape
    strides = contiguous_strides(shape)
    return tuple(0 if size == 1 else stride for size, stride in zip(shape, strides, strict=True))


def check_rank(op: Op, rank: int) -> None:
    """Refuse what a strided kernel has no loops for."""
    if rank > MAX_RANK:
        raise UnsupportedOperator(f"{op.label}: {rank} axes, at most {MAX_RANK}", hint="reshape to fewer axes first")
