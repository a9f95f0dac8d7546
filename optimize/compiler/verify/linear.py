"""Rules of the linear functions."""

from __future__ import annotations

import math

from optimize.compiler.fixed_point import INT32_MAX
from optimize.compiler.kernels_linear import LinearCall
from optimize.compiler.verify.common import Operands, Rule, sizes


def _linear(payload: LinearCall, inputs: Operands, outputs: Operands) -> str:
    if 128 * (abs(payload.factors[0]) + abs(payload.factors[1])) + abs(payload.bias) > INT32_MAX:
        return "a sum can leave 32 bits"
    reach = [
        1 + sum((extent - 1) * stride for extent, stride in zip(payload.extents, strides, strict=True))
        for strides in payload.strides
    ]
    return sizes(
        (inputs[0].bytes, reach[0]), (inputs[1].bytes, reach[1]), (outputs[0].bytes, math.prod(payload.extents))
    )


RULES: dict[type, Rule] = {LinearCall: _linear}
