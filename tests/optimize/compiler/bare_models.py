"""Runs many compiled models in one start of an emulated board, without anything around them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from amalgam import amalgamate
from host_models import Outputs, Samples, joined, split_outputs

from flota.toolchain import Compiler
from hil.bare import BareMachine, Inference, ModelFiles, SourceFile, find_machine, flota_engine, measure_bare
from hil.bare.build import FLAGS
from optimize.compiler import CompiledModel
from optimize.compiler.host import FIRMWARE

BOARDS = {"portable": "qemu-mps2-an386", "cortex-m4": "qemu-mps2-an386", "cortex-m55": "qemu-mps3-an547"}
"""Core of the compiler -> the emulated board that has it."""
DEADLINE_S = 300.0
MODEL_FLAGS = ("-O1", "-g0")
"""The generated code only fills structs and calls kernels; these are compiled as always."""


@dataclass(frozen=True)
class BareKernels:
    """Kernels for one board, each compiled into ``folder`` when a model first needs it."""

    folder: Path
    machine: BareMachine
    objects: dict[str, Path] = field(default_factory=dict)

    def of(self, models: Iterable[CompiledModel]) -> tuple[Path, ...]:
        """The objects to link with ``models``."""
        needed = sorted({source for model in models for source in model.kernel_sources})
        for source in needed:
            if source not in self.objects:
                self.objects[source] = self._compile(source)
        return tuple(self.objects[source] for source in needed)

    def _compile(self, source: str) -> Path:
        target = self.folder / f"{self.machine.board}-{source.replace('/', '-')}.o"
        include = [f"-I{FIRMWARE / 'include'}", f"-I{FIRMWARE / 'src/nn'}"]
        language = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"] if source.endswith(".c") else []
        command = [*self.machine.cpu, *FLAGS, *include, *language, "-c", str(FIRMWARE / source), "-o", str(target)]
        Compiler().run("gcc", command, self.folder)
        return target


def run_emulated(
    models: Sequence[CompiledModel],
    samples: Sequence[Samples],
    board: str = "qemu-mps2-an386",
    kernels: BareKernels | None = None,
) -> list[Outputs]:
    """Outputs of all models, which have to fit the memory of ``board``; ``kernels`` saves compiling them again."""
    if kernels is None:
        with tempfile.TemporaryDirectory(prefix="flota-kernels-") as folder:
            return run_emulated(models, samples, board, BareKernels(Path(folder), find_machine(board)))
    source = {"models.c": amalgamate(models)}
    files = [ModelFiles(source if index == 0 else {}, (), model.arena_bytes) for index, model in enumerate(models)]
    engine = flota_engine(files)
    own = tuple(
        SourceFile(one.path, (*one.flags, *MODEL_FLAGS)) if one.path.name in source else one for one in engine.sources
    )
    inferences = [Inference(joined([row]), index) for index, rows in enumerate(samples) for row in rows]
    report = measure_bare(
        replace(engine, sources=own, libraries=kernels.of(models)),
        inferences,
        board=board,
        counted=False,
        deadline_s=DEADLINE_S,
    )
    outputs: list[Outputs] = [[] for _ in models]
    for inference, run in zip(inferences, report.runs, strict=True):
        outputs[inference.model] += split_outputs(run.output, models[inference.model])
    return outputs
