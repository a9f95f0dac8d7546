"""Rules of the calls on the packed matrix product of the DSP extension."""

from __future__ import annotations

from optimize.compiler import kernels_dsp as dsp
from optimize.compiler.verify.common import Operands, Rule, sizes


def gemm_problem(gemm: dsp.Gemm, pairs: int, channels: int) -> str:
    """What is wrong with a packed product of so many channels over so many pairs of inputs; empty if nothing."""
    pairs += gemm.product == "wide" and pairs % 2
    if gemm.pairs != pairs or gemm.channels != channels or len(gemm.biases) != -(-channels // 4):
        return f"{gemm.pairs} pairs and {gemm.channels} channels are packed, not {pairs} and {channels}"
    return sizes((len(gemm.weights), 8 * pairs * len(gemm.biases)))


def _window(call: dsp.DspConvCall) -> str:
    height, width = call.window.size
    columns = width if call.runs_per_row == 1 else 1
    if call.runs_per_row not in (1, width) or not 0 < call.run_bytes <= columns * call.input.channels:
        return f"{call.runs_per_row} runs of {call.run_bytes} bytes are not a row of its window"
    return gemm_problem(call.gemm, height * call.runs_per_row * (-(-call.run_bytes // 2)), call.output.channels)


def _reach(call: dsp.DspConvCall) -> int:
    """Bytes from the first output value to the last, that included."""
    pixel, row, image = call.output_steps
    last = ((call.output.batches - 1) * image, (call.output.height - 1) * row, (call.output.width - 1) * pixel)
    return sum(last) + call.output.channels


def _conv(call: dsp.DspConvCall, inputs: Operands, outputs: Operands) -> str:
    problem = _window(call)
    return problem or sizes((inputs[0].bytes, call.input.elements), (outputs[0].bytes, _reach(call)))


def _conv_parts(call: dsp.DspConvPartsCall, inputs: Operands, outputs: Operands) -> str:
    problems = [_window(part.conv) for part in call.parts]
    problems += [sizes((inputs[0].bytes, part.conv.input.elements)) for part in call.parts]
    read = max(part.input_offset + part.conv.run_bytes for part in call.parts)
    if any(part.input_offset for part in call.parts) and read > call.parts[0].conv.input.channels:
        problems.append(f"its last group reads up to channel {read}")
    written = sum(part.conv.output.elements for part in call.parts)
    reach = max(part.output_offset + _reach(part.conv) for part in call.parts)
    return next(filter(None, problems), "") or sizes((outputs[0].bytes, written), (outputs[0].bytes, reach))


def _pointwise(call: dsp.DspPointwiseCall, inputs: Operands, outputs: Operands) -> str:
    problem = gemm_problem(call.gemm, -(-call.in_channels // 2), call.out_channels)
    expected = (call.pixels * call.in_channels, call.pixels * call.out_channels)
    return problem or sizes((inputs[0].bytes, expected[0]), (outputs[0].bytes, expected[1]))


def _fully_connected(call: dsp.DspFullyConnectedCall, inputs: Operands, outputs: Operands) -> str:
    problem = gemm_problem(call.gemm, -(-call.in_features // 4) * 2, call.out_features)
    expected = (call.batches * call.in_features, call.batches * call.out_features)
    return problem or sizes((inputs[0].bytes, expected[0]), (outputs[0].bytes, expected[1]))


RULES: dict[type, Rule] = {
    dsp.DspConvCall: _conv,
    dsp.DspConvPartsCall: _conv_parts,
    dsp.DspPointwiseCall: _pointwise,
    dsp.DspFullyConnectedCall: _fully_connected,
}
