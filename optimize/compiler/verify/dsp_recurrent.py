"""Rules of the layers with state of their own, and of the product of two tensors, on the DSP extension."""

from __future__ import annotations

from optimize.compiler.kernels_dsp_recurrent import DspBatchMatMulCall, DspLstmCall, DspSvdfCall
from optimize.compiler.verify.common import Operands, Rule
from optimize.compiler.verify.dsp_gemm import gemm_problem
from optimize.compiler.verify.recurrent import batch_matmul_call_problem, lstm_call_problem, svdf_call_problem


def _lstm(payload: DspLstmCall, inputs: Operands, outputs: Operands) -> str:
    layer = payload.portable
    problems = (
        gemm_problem(payload.input, -(-layer.in_features // 4) * 2, 4 * layer.units),
        gemm_problem(payload.recurrent, -(-layer.units // 4) * 2, 4 * layer.units),
    )
    return next(filter(None, problems), "") or lstm_call_problem(layer, inputs, outputs)


def _svdf(payload: DspSvdfCall, inputs: Operands, outputs: Operands) -> str:
    layer = payload.portable
    if len(payload.biases) * layer.rank != layer.filters:
        return f"{len(payload.biases)} biases for {layer.filters} filters of rank {layer.rank}"
    problem = gemm_problem(payload.features, -(-layer.in_features // 4) * 2, layer.filters)
    return problem or svdf_call_problem(layer, inputs, outputs)


def _batch_matmul(payload: DspBatchMatMulCall, inputs: Operands, outputs: Operands) -> str:
    if payload.portable.left_strides[1] != 1:
        return "the rows of its left matrix lie in pieces"
    return batch_matmul_call_problem(payload.portable, inputs, outputs)


RULES: dict[type, Rule] = {DspLstmCall: _lstm, DspSvdfCall: _svdf, DspBatchMatMulCall: _batch_matmul}
