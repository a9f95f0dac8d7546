"""Rules of the kernel calls that compare, reduce, normalize and enlarge."""

from __future__ import annotations

import math

from optimize.compiler.kernels_image import ResizeBilinearCall, TransposeConvCall
from optimize.compiler.kernels_values import ArgCall, BroadcastCall, ExtremeCall, L2NormalizationCall
from optimize.compiler.verify.common import Operands, Rule, sizes


def _broadcast(payload: BroadcastCall, inputs: Operands, outputs: Operands) -> str:
    reach = [
        1 + sum((extent - 1) * stride for extent, stride in zip(payload.extents, strides, strict=True))
        for strides in payload.strides
    ]
    return sizes(
        (inputs[0].bytes, reach[0]), (inputs[1].bytes, reach[1]), (outputs[0].bytes, math.prod(payload.extents))
    )


def _extreme(payload: ExtremeCall, inputs: Operands, outputs: Operands) -> str:
    kept, reduced = (math.prod(extent for extent, _ in axes) for axes in (payload.kept, payload.reduced))
    return sizes((inputs[0].bytes, kept * reduced), (outputs[0].bytes, kept))


def _arg(payload: ArgCall, inputs: Operands, outputs: Operands) -> str:
    cells = payload.outer * payload.inner
    return sizes((inputs[0].bytes, cells * payload.count), (outputs[0].bytes, 4 * cells))


def _l2_normalization(payload: L2NormalizationCall, inputs: Operands, outputs: Operands) -> str:
    elements = payload.rows * payload.depth
    return sizes((inputs[0].bytes, elements), (outputs[0].bytes, elements))


def _resize_bilinear(payload: ResizeBilinearCall, inputs: Operands, outputs: Operands) -> str:
    for old, new, scale, offset in zip(
        (payload.input.height, payload.input.width),
        (payload.output.height, payload.output.width),
        payload.scales,
        payload.offsets,
        strict=True,
    ):
        if ((new - 1) * scale + offset) // 1024 >= old:
            return f"it reads past {old} rows or columns"
    return sizes((inputs[0].bytes, payload.input.elements), (outputs[0].bytes, payload.output.elements))


def _transpose_conv(payload: TransposeConvCall, inputs: Operands, outputs: Operands) -> str:
    (height, width), channels = payload.window.size, payload.input.channels
    return sizes(
        (inputs[0].bytes, payload.input.elements),
        (outputs[0].bytes, payload.output.elements),
        (len(payload.weights), payload.output.channels * height * width * channels),
    )


RULES: dict[type, Rule] = {
    ArgCall: _arg,
    BroadcastCall: _broadcast,
    ExtremeCall: _extreme,
    L2NormalizationCall: _l2_normalization,
    ResizeBilinearCall: _resize_bilinear,
    TransposeConvCall: _transpose_conv,
}
