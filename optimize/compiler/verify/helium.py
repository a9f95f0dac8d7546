"""Rules of the Helium kernel calls: what the C code will touch is the size of its operands."""

from __future__ import annotations

from optimize.compiler import kernels_helium as helium
from optimize.compiler.kernels_helium import BLOCK, HeliumGemm
from optimize.compiler.verify.common import Operands, Rule, sizes


def _gemm(gemm: HeliumGemm, inputs: int, channels: int, together: int) -> str:
    if gemm.blocks != -(-inputs // BLOCK) or gemm.channels != channels:
        return f"{gemm.blocks} blocks and {gemm.channels} channels are packed for {inputs} inputs, {channels} channels"
    groups = -(-channels // together)
    quads = -(-channels // 4) * 4
    q = gemm.requantize
    return sizes(
        (len(gemm.weights), groups * together * gemm.blocks * BLOCK),
        *((len(values), quads) for values in (q.biases, q.multipliers, q.shifts)),
    )


def _conv(call: helium.HeliumConvCall, inputs: Operands, outputs: Operands) -> str:
    taps = call.window.size[0] * call.window.size[1]
    problem = _gemm(call.gemm, taps * call.input.channels, call.output.channels, 2)
    return problem or sizes((inputs[0].bytes, call.input.elements), (outputs[0].bytes, call.output.elements))


def _pointwise(call: helium.HeliumPointwiseCall, inputs: Operands, outputs: Operands) -> str:
    problem = _gemm(call.gemm, call.in_channels, call.gemm.channels, 2)
    expected = (call.pixels * call.in_channels, call.pixels * call.gemm.channels)
    return problem or sizes((inputs[0].bytes, expected[0]), (outputs[0].bytes, expected[1]))


def _fully_connected(call: helium.HeliumFullyConnectedCall, inputs: Operands, outputs: Operands) -> str:
    problem = _gemm(call.gemm, call.in_features, call.gemm.channels, 4)
    expected = (call.batches * call.in_features, call.batches * call.gemm.channels)
    return problem or sizes((inputs[0].bytes, expected[0]), (outputs[0].bytes, expected[1]))


RULES: dict[type, Rule] = {
    helium.HeliumConvCall: _conv,
    helium.HeliumPointwiseCall: _pointwise,
    helium.HeliumFullyConnectedCall: _fully_connected,
}
