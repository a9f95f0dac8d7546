"""Runs many compiled models in one start of an emulated board, without anything around them."""

from __future__ import annotations

from collections.abc import Sequence

from amalgam import amalgamate
from host_models import Outputs, Samples, joined, split_outputs

from hil.bare import Inference, ModelFiles, flota_engine, measure_bare
from optimize.compiler import CompiledModel

BOARDS = {"portable": "qemu-mps2-an386", "cortex-m4": "qemu-mps2-an386", "cortex-m55": "qemu-mps3-an547"}
"""Core of the compiler -> the emulated board that has it."""
DEADLINE_S = 300.0


def run_emulated(
    models: Sequence[CompiledModel], samples: Sequence[Samples], board: str = "qemu-mps2-an386"
) -> list[Outputs]:
    """Outputs of all models on ``board``; all of them have to fit its memory."""
    source = {"models.c": amalgamate(models)}
    files = [
        ModelFiles(source if index == 0 else {}, model.kernel_sources, model.arena_bytes)
        for index, model in enumerate(models)
    ]
    inferences = [Inference(joined([row]), index) for index, rows in enumerate(samples) for row in rows]
    report = measure_bare(flota_engine(files), inferences, board=board, counted=False, deadline_s=DEADLINE_S)
    outputs: list[Outputs] = [[] for _ in models]
    for inference, run in zip(inferences, report.runs, strict=True):
        outputs[inference.model] += split_outputs(run.output, models[inference.model])
    return outputs
