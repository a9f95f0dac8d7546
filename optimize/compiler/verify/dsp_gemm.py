"""Rules of the calls on the packed matrix product of the DSP extension."""

from __future__ import annotations

from optimize.compiler import kernels_dsp as dsp
from optimize.compiler.verify.common import Operands, Rule, sizes


def _gemm(gemm: dsp.Gemm, pairs: int, channels: int) -> str:
    pairs += gemm.product == "wide" and pairs % 2
    if gemm.pairs != pairs or gemm.channels != channels or len(gemm.biases) != -(-channels // 4):
        return f"{gemm.pairs} pairs and {gemm.channels} channels are packed, not {pairs} and {channels}"
    return sizes((len(gemm.weights), 8 * pairs * len(gemm.biases)))


def _window(call: dsp.DspConvCall) -> str:
    runs = call.window.size[0] * call.runs_per_row
    if call.run_bytes * runs != call.window.size[0] * call.window.size[1] * call.input.channels:
        return f"{runs} runs of {call.run_bytes} bytes are not its window"
    return _gemm(call.gemm, runs * (-(-call.run_bytes // 2)), call.output.channels)


def _reach(call: dsp.DspConvCall) -> int:
    """Bytes from the first output value to the last, that included."""
    pixel, row, image = call.output_steps
    last = ((call.output.batches - 1) * image, (call.output.height - 1) * row, (call.output.width - 1) * pixel)
    return sum(last) + call.output.channels


def _conv(call: dsp.DspConvCall, inputs: Operands, outputs: Operands) -> str:
    problem = _window(call)
    return problem or sizes((inputs[0].bytes, call.input.elements), (outputs[0].bytes, _reach(call)))


def _transpose_conv(call: dsp.DspTransposeConvCall, inputs: Operands, outputs: Operands) -> str:
    written = sum(conv.output.elements for _, conv in call.phases)
    problems = [_window(conv) for _, conv in call.phases]
    problems += [sizes((inputs[0].bytes, conv.input.elements)) for _, conv in call.phases]
    reach = max(offset + _reach(conv) for offset, conv in call.phases)
    return next(filter(None, problems), "") or sizes((outputs[0].bytes, written), (outputs[0].bytes, reach))


def _pointwise(call: dsp.DspPointwiseCall, inputs: Operands, outputs: Operands) -> str:
    problem = _gemm(call.gemm, -(-call.in_channels // 2), call.out_channels)
    expected = (call.pixels * call.in_channels, call.pixels * call.out_channels)
    return problem or sizes((inputs[0].bytes, expected[0]), (outputs[0].bytes, expected[1]))


def _fully_connected(call: dsp.DspFullyConnectedCall, inputs: Operands, outputs: Operands) -> str:
    problem = _gemm(call.gemm, -(-call.in_features // 4) * 2, call.out_features)
    expected = (call.batches * call.in_features, call.batches * call.out_features)
    return problem or sizes((inputs[0].bytes, expected[0]), (outputs[0].bytes, expected[1]))


RULES: dict[type, Rule] = {
    dsp.DspConvCall: _conv,
    dsp.DspTransposeConvCall: _transpose_conv,
    dsp.DspPointwiseCall: _pointwise,
    dsp.DspFullyConnectedCall: _fully_connected,
}
