"""Rules of the Helium kernel calls: what the C code will touch is the size of its operands."""

from __future__ import annotations

from optimize.compiler import kernels_helium as helium
from optimize.compiler.kernels_helium import BLOCK, DEPTHWISE_HEIGHT, GROUP, HeliumGemm, HeliumRequantize
from optimize.compiler.verify.common import Operands, Rule, sizes


def _gemm(gemm: HeliumGemm, inputs: int, channels: int) -> str:
    if gemm.blocks != -(-inputs // BLOCK) or gemm.channels != channels:
        return f"{gemm.blocks} blocks and {gemm.channels} channels are packed for {inputs} inputs, {channels} channels"
    packed = _padded(channels)
    return sizes((len(gemm.weights), packed * gemm.blocks * BLOCK)) or _requantize(gemm.requantize, packed)


def _padded(channels: int) -> int:
    return -(-channels // GROUP) * GROUP


def _requantize(q: HeliumRequantize, packed: int) -> str:
    return sizes(*((len(values), packed) for values in (q.biases, q.multipliers, q.shifts)))


def _conv(call: helium.HeliumConvCall, inputs: Operands, outputs: Operands) -> str:
    taps = call.window.size[0] * call.window.size[1]
    problem = _gemm(call.gemm, taps * call.input.channels, call.output.channels)
    return problem or sizes((inputs[0].bytes, call.input.elements), (outputs[0].bytes, call.output.elements))


def _pointwise(call: helium.HeliumPointwiseCall, inputs: Operands, outputs: Operands) -> str:
    problem = _gemm(call.gemm, call.in_channels, call.gemm.channels)
    expected = (call.pixels * call.in_channels, call.pixels * call.gemm.channels)
    return problem or sizes((inputs[0].bytes, expected[0]), (outputs[0].bytes, expected[1]))


def _depthwise(call: helium.HeliumDepthwiseCall, inputs: Operands, outputs: Operands) -> str:
    if call.input.channels != call.output.channels or call.window.size[0] > DEPTHWISE_HEIGHT:
        return f"{call.input.channels} channels in, {call.output.channels} out, {call.window.size[0]} rows of weights"
    packed = _padded(call.output.channels)
    return _requantize(call.requantize, packed) or sizes(
        (inputs[0].bytes, call.input.elements),
        (outputs[0].bytes, call.output.elements),
        (len(call.weights), call.window.size[0] * call.window.size[1] * packed),
    )


def _fully_connected(call: helium.HeliumFullyConnectedCall, inputs: Operands, outputs: Operands) -> str:
    problem = _gemm(call.gemm, call.in_features, call.gemm.channels)
    expected = (call.batches * call.in_features, call.batches * call.gemm.channels)
    return problem or sizes((inputs[0].bytes, expected[0]), (outputs[0].bytes, expected[1]))


def _elementwise(call: helium.HeliumElementwiseCall, inputs: Operands, outputs: Operands) -> str:
    if call.strides != ((1,), (1,)) or call.kind == "sub" or max(call.shift, *call.input_shifts) > 0:
        return f"{call.kind} with strides {call.strides} and shifts {call.input_shifts}, {call.shift}"
    return sizes(*((tensor.bytes, call.extents[0]) for tensor in (*inputs, *outputs)))


def _linear(call: helium.HeliumLinearCall, inputs: Operands, outputs: Operands) -> str:
    return sizes(*((tensor.bytes, call.count) for tensor in (*inputs, *outputs)))


def _pool(call: helium.HeliumPoolCall, inputs: Operands, outputs: Operands) -> str:
    taps = call.window.size[0] * call.window.size[1]
    if call.kind == "average" and taps > helium.POOL_TAPS:
        return f"an average over {taps} values"
    return sizes((inputs[0].bytes, call.input.elements), (outputs[0].bytes, call.output.elements))


RULES: dict[type, Rule] = {
    helium.HeliumConvCall: _conv,
    helium.HeliumLinearCall: _linear,
    helium.HeliumPointwiseCall: _pointwise,
    helium.HeliumPoolCall: _pool,
    helium.HeliumDepthwiseCall: _depthwise,
    helium.HeliumElementwiseCall: _elementwise,
    helium.HeliumFullyConnectedCall: _fully_connected,
}
