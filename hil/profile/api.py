"""A profile from beginning to end: find the model, compile it, run it bare, put the counts to its operators.

The command line only calls this; it hands the compiler in, for the parts meet only there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from flota.boardlink.geometry import find_geometry
from flota.bundle import TensorSignature
from flota.errors import UsageError
from flota.files import sha256_hex, shown_name
from flota.programs import find_program
from flota.runtimes.tflm import TflmRuntime
from flota.toolchain import Compiler
from hil.bare import MACHINES, OPERATORS, BareMachine, BareReport, Inference, find_machine, flota_engine, measure_bare
from hil.bare.flota_engine import Compiled
from hil.bench.api import TensorFacts, input_signatures, signatures
from hil.bench.cases import random_cases
from hil.bench.run import Case, Watch, unwatched
from hil.bench.subjects import installed_version
from hil.boards.qemu import qemu_version
from hil.cycles import Cost
from hil.profile.models import ModelFile, find_model
from hil.profile.report import MemoryRow, Profile, ProfileReport, ProfileStep

_CASES = 4  # three corners, and a drawn one, which is profiled


class StepFacts(Protocol):
    """One operator as the compiler compiled it (``optimize.compiler.StepFacts``)."""

    @property
    def position(self) -> int:
        """In the model file."""
        ...

    @property
    def operator(self) -> str:
        """Its name there."""
        ...

    @property
    def function(self) -> str:
        """The C function that runs it."""
        ...

    @property
    def kernel(self) -> str:
        """Its kernel's file in ``firmware/src/nn``, without suffix."""
        ...

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        ...

    @property
    def weight_bytes(self) -> int:
        """Constants in flash."""
        ...

    @property
    def scratch_bytes(self) -> int:
        """Arena bytes it alone needs."""
        ...


class MemoryFacts(Protocol):
    """Bytes of the arena and when they are whose (``optimize.compiler.MemoryBlock``)."""

    @property
    def label(self) -> str:
        """Name of the tensor."""
        ...

    @property
    def kind(self) -> Literal["tensor", "scratch", "state"]:
        """What it is."""
        ...

    @property
    def offset(self) -> int:
        """In the arena."""
        ...

    @property
    def bytes(self) -> int:
        """Its size."""
        ...

    @property
    def first(self) -> int:
        """The first step that needs it."""
        ...

    @property
    def last(self) -> int:
        """The last one."""
        ...


class CompiledSteps(Compiled, Protocol):
    """A compiled model with what its steps are (``optimize.compiler.CompiledModel``)."""

    @property
    def inputs(self) -> Sequence[TensorFacts]:
        """Input tensors in order."""
        ...

    @property
    def outputs(self) -> Sequence[TensorFacts]:
        """Output tensors in order."""
        ...

    @property
    def weight_bytes(self) -> int:
        """All constants in flash."""
        ...

    @property
    def steps(self) -> Sequence[StepFacts]:
        """The operators in the order they run."""
        ...

    @property
    def memory(self) -> Sequence[MemoryFacts]:
        """What lies where."""
        ...


CompileSteps: TypeAlias = Callable[[bytes, str, str], CompiledSteps]
"""(``.tflite`` bytes, name, core) → compiled model."""


@dataclass(frozen=True, slots=True)
class ProfileRequest:
    """What to profile, where, and beside what.

    Attributes:
        name: A model as :func:`hil.profile.models.find_model` takes it.
        core: Whose kernels to use; the board's own when None.
        against: A second model, or the same one again with another core.
        against_core: Its core; ``core`` when None.
        seed: Of the random input.
    """

    name: str
    workspace: Path
    board: str = "qemu-mps2-an386"
    core: str | None = None
    against: str | None = None
    against_core: str | None = None
    seed: int = 1


def profile(request: ProfileRequest, *, compile_model: CompileSteps, watch: Watch = unwatched) -> ProfileReport:
    """Profile one inference of what is asked for.

    Raises:
        UnknownBoard, UsageError, StorageError: No such board, model or file; nothing was built.
        MissingTool: QEMU or the cross-compiler is not installed.
        FlotaError: The compiler refuses the model, or the emulator fails; see the functions this calls.
    """
    machine = find_machine(request.board)
    find_program(machine.program)
    core = request.core or find_geometry(request.board).compiler.core
    wanted = [(find_model(request.workspace, request.name), core)]
    if request.against is not None:
        wanted.append((find_model(request.workspace, request.against), request.against_core or core))
    profiles = []
    for _, its_core in wanted:
        _check_core(its_core, machine)
    for model, its_core in wanted:
        watch(f"{model.name}, {its_core}: compile, run, count")
        profiles.append(_profile(model, its_core, request, compile_model))
    counted = "instructions counted"
    if machine.models_cycles:
        counted += ", cycles modelled (Cortex-M4 TRM timing table, zero wait states)"
    return ProfileReport(
        created_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        how=f"{counted}, in one inference on random inputs (seed {request.seed}) on {machine.core}, emulated by QEMU",
        tools={
            "arm-none-eabi-gcc": Compiler().version(),
            "qemu": qemu_version(machine.program),
            "tflite-micro": installed_version("tflite-micro"),
        },
        profiles=tuple(profiles),
    )


def _check_core(core: str, machine: BareMachine) -> None:
    """Refuse kernels that need what the board's processor lacks; what no board knows, the compiler refuses."""
    known = {name for other in MACHINES.values() for name in other.cores}
    if core in known - set(machine.cores):
        raise UsageError(
            f"kernels for {core} do not run on the {machine.core} of {machine.board}",
            hint=f"use one of: {', '.join(machine.cores)}",
        )


def _profile(model: ModelFile, core: str, request: ProfileRequest, compile_model: CompileSteps) -> Profile:
    compiled = compile_model(model.data, model.name, core)
    case = _case(model.data, input_signatures(compiled.inputs), signatures(compiled.outputs), request.seed)
    measured = measure_bare(
        flota_engine([compiled], name=model.name), [Inference(case.inputs)], board=request.board, buckets=OPERATORS
    )
    run, costs = measured.runs[0], measured.bucket_costs(0)
    return Profile(
        model=model.name,
        file=model.file,
        sha256=sha256_hex(model.data),
        board=request.board,
        core=core,
        instructions=run.instructions or 0,
        cycles_modelled=run.cycles_modelled,
        ram_bytes=measured.ram_bytes,
        arena_bytes=compiled.arena_bytes,
        stack_bytes=measured.stack_bytes,
        flash_bytes=measured.flash_bytes,
        weight_bytes=compiled.weight_bytes,
        identical=run.output == case.expected,
        steps=tuple(_step(step, costs.get(step.function, Cost(0, 0)), measured) for step in compiled.steps),
        memory=tuple(_memory(compiled.steps, compiled.memory)),
    )


def _case(model: bytes, inputs: tuple[TensorSignature, ...], outputs: tuple[TensorSignature, ...], seed: int) -> Case:
    reference = TflmRuntime(model, inputs, outputs)
    try:
        return random_cases(reference, inputs, seed=seed, count=_CASES)[-1]
    finally:
        reference.close()


def _step(step: StepFacts, cost: Cost, measured: BareReport) -> ProfileStep:
    run = measured.runs[0]
    modelled = run.cycles_modelled is not None
    share = (
        cost.cycles_modelled / (run.cycles_modelled or 1) if modelled else cost.instructions / (run.instructions or 1)
    )
    return ProfileStep(
        position=step.position,
        operator=step.operator,
        kernel=step.kernel,
        instructions=cost.instructions,
        cycles_modelled=cost.cycles_modelled if modelled else None,
        share=share,
        macs=step.macs,
        cycles_per_mac=cost.cycles_modelled / step.macs if modelled and step.macs else None,
        weight_bytes=step.weight_bytes,
        scratch_bytes=step.scratch_bytes,
    )


def _memory(steps: Sequence[StepFacts], blocks: Sequence[MemoryFacts]) -> Iterator[MemoryRow]:
    """The blocks as they come, with labels that say which operator they belong to: tensors' names say little."""
    for block in sorted(blocks, key=lambda block: (block.first, block.offset)):
        label = shown_name(block.label)
        if 0 <= block.first < len(steps):
            step = steps[block.first]
            what = "scratch of " if block.kind == "scratch" else ""
            label = f"{what}{step.position} {step.operator}"
        elif block.kind == "tensor":
            label = f"input {label}"
        yield MemoryRow(
            label=label, kind=block.kind, offset=block.offset, bytes=block.bytes, first=block.first, last=block.last
        )
