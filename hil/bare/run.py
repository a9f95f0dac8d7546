"""Run a bare program's inferences in one start of QEMU, counted, and take its figures.

Inputs and outputs cross as two files by semihosting. The emulator dies with this process and at its deadline.
"""

from __future__ import annotations

import re
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flota.errors import StorageError
from flota.programs import find_program
from hil.bare.build import EMPTY, BareProgram, Engine, build_bare
from hil.bare.machines import BareMachine, find_machine
from hil.boards.launch import start_leashed
from hil.cycles import Cost, CyclesPlugin, Passage, Region
from hil.errors import BareFailed

DEADLINE_S = 120.0
_HEAD = struct.Struct("<III")  # model, whether it is set up anew, bytes of its inputs
_ANSWER = struct.Struct("<IIII")  # stack of the setup, stack of invoke, heap, bytes of the outputs
_EXITS = {
    10: "it cannot read its inferences or write its answers",
    11: "there is no such model in it",
    12: "the engine does not set the model up",
    13: "an inference has other bytes than the model's inputs",
    14: "the engine failed",
    15: "the processor faulted: a stack overflow, a bad address or an instruction it does not have",
}
_NO_PLUGINS = "counting needs a QEMU that is built with TCG plugins, as the distributions' are"
_TEMPORARY = "make room in the folder for temporary files, or set TMPDIR to another one"
_CLONE = re.compile(r"(\.(constprop|isra|part|cold|lto_priv)(\.\d+)?)+$")


@dataclass(frozen=True, slots=True)
class Inference:
    """One inference to run.

    Attributes:
        inputs: Bytes of the input tensors, end to end.
        model: Which model of the image they are for.
        fresh: Whether the model is set up anew, as it is whenever the inference before was of another model: what a
            streaming model remembers is gone.
    """

    inputs: bytes
    model: int = 0
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class BareRun:
    """One inference on the bare machine.

    Attributes:
        output: Bytes of the outputs, end to end.
        instructions: What invoke executed, counted exactly; None when not counted.
        cycles_modelled: What that takes on a Cortex-M4 by its manual's table; None on another processor, too.
        stack_bytes: Deepest stack of invoke, with the harness's few words.
        passage: The parts of the cost, the last bucket being what is in none; None when not counted. On another
            processor than a Cortex-M4 its cycles mean nothing.
    """

    output: bytes
    instructions: int | None
    cycles_modelled: int | None
    stack_bytes: int
    passage: Passage | None


@dataclass(frozen=True, slots=True)
class BareReport:
    """What an engine takes on a bare machine. Sizes are less those of an empty harness built the same way.

    Attributes:
        runs: The inferences in order.
        ram_bytes: ``.data``, ``.bss`` (the arena is there), heap and the deepest stack, of setup or invoke.
        flash_bytes: Code, constants and initial data.
        stack_bytes: Its part of ``ram_bytes``.
        heap_bytes: Its part of ``ram_bytes``.
        bucket_names: Names of the functions whose costs the passages tell apart, in the order of their buckets.
        models_cycles: Whether the cycles are of this machine's processor.
    """

    runs: tuple[BareRun, ...]
    ram_bytes: int
    flash_bytes: int
    stack_bytes: int
    heap_bytes: int
    bucket_names: tuple[str, ...]
    models_cycles: bool

    def bucket_costs(self, run: int) -> dict[str, Cost]:
        """Cost by function name of one counted run; what is in no bucket is under the empty name."""
        costs: dict[str, Cost] = {}
        passage = self.runs[run].passage
        for name, cost in zip((*self.bucket_names, ""), passage.buckets if passage else (), strict=False):
            costs[name] = costs.get(name, Cost(0, 0)) + cost
        return costs


@dataclass(frozen=True, slots=True)
class _Answer:
    setup_stack: int
    invoke_stack: int
    heap: int
    output: bytes


def measure_bare(
    engine: Engine,
    inferences: Sequence[Inference],
    *,
    board: str = "qemu-mps2-an386",
    buckets: str = "",
    counted: bool = True,
    deadline_s: float = DEADLINE_S,
) -> BareReport:
    """Build ``engine``, run all inferences in order in one start of QEMU, and take the figures.

    Args:
        engine: What is measured.
        inferences: At least one.
        board: A board of ``hil.bare.machines``.
        buckets: Regular expression; functions whose whole name (without GCC's ``.constprop.0``) matches are told apart.
        counted: Whether to count; without it only outputs and sizes are taken, several times faster.
        deadline_s: How long the emulator may run.

    Raises:
        UsageError, UnknownBoard, MissingTool, CompileError: See :func:`hil.bare.build.build_bare`.
        BareFailed: The program failed, took too long, or answered something else than it must.
        CountsInvalid: The counts are not whole.
        StorageError: The folder for temporary files is full or cannot be written.
    """
    machine = find_machine(board)
    try:
        with tempfile.TemporaryDirectory(prefix="flota-bare-") as scratch:
            build, work = Path(scratch) / "build", Path(scratch) / "work"
            build.mkdir()
            work.mkdir()
            program = build_bare(engine, machine, build)
            names = _bucket_names(program, buckets)
            run = _Emulation(engine, program, machine, work, names, counted=counted, deadline_s=deadline_s)
            answers, passages = run.inferences(inferences)
        return _report(program, machine, names, answers, passages)
    except OSError as error:
        where = error.filename or tempfile.gettempdir()
        raise StorageError(f"{where}: {error.strerror or error}", hint=_TEMPORARY) from error


def _report(
    program: BareProgram,
    machine: BareMachine,
    names: Sequence[tuple[int, str]],
    answers: Sequence[_Answer],
    passages: Sequence[Passage],
) -> BareReport:
    base, base_stack = _empty_harness(machine.board)
    stack = max(max(answer.setup_stack, answer.invoke_stack) for answer in answers) - base_stack
    heap = max(answer.heap for answer in answers)
    costs: Sequence[Passage | None] = passages or [None] * len(answers)
    return BareReport(
        runs=tuple(_bare_run(answer, passage, machine) for answer, passage in zip(answers, costs, strict=True)),
        ram_bytes=program.static_bytes - base.static_bytes + heap + stack,
        flash_bytes=program.flash_bytes - base.flash_bytes,
        stack_bytes=stack,
        heap_bytes=heap,
        bucket_names=tuple(name for _, name in names),
        models_cycles=machine.models_cycles,
    )


def _bare_run(answer: _Answer, passage: Passage | None, machine: BareMachine) -> BareRun:
    total = passage.total if passage else None
    return BareRun(
        output=answer.output,
        instructions=total.instructions if total else None,
        cycles_modelled=total.cycles_modelled if total and machine.models_cycles else None,
        stack_bytes=answer.invoke_stack,
        passage=passage,
    )


@cache
def _empty_harness(board: str) -> tuple[BareProgram, int]:
    """The empty harness's sizes and stack on a board; its file is gone."""
    machine = find_machine(board)
    with tempfile.TemporaryDirectory(prefix="flota-bare-") as scratch:
        build, work = Path(scratch) / "build", Path(scratch) / "work"
        build.mkdir()
        work.mkdir()
        program = build_bare(EMPTY, machine, build)
        run = _Emulation(EMPTY, program, machine, work, (), counted=False, deadline_s=DEADLINE_S)
        answers, _ = run.inferences([Inference(b"")])
    return program, max(answers[0].setup_stack, answers[0].invoke_stack)


def _bucket_names(program: BareProgram, pattern: str) -> tuple[tuple[int, str], ...]:
    if not pattern:
        return ()
    named = ((address, _CLONE.sub("", name)) for address, name in program.functions)
    return tuple((address, name) for address, name in named if re.fullmatch(pattern, name))


@dataclass(frozen=True, slots=True)
class _Emulation:
    """One start of QEMU with a program, in a folder of its own."""

    engine: Engine
    program: BareProgram
    machine: BareMachine
    folder: Path
    buckets: Sequence[tuple[int, str]]
    counted: bool
    deadline_s: float

    def inferences(self, inferences: Sequence[Inference]) -> tuple[list[_Answer], list[Passage]]:
        """Answers and, where counted, passages of all inferences in order."""
        (self.folder / "inferences.bin").write_bytes(
            b"".join(_HEAD.pack(one.model, one.fresh, len(one.inputs)) + one.inputs for one in inferences)
        )
        plugin = self._plugin() if self.counted else None
        self._run([*self._memory(), *(plugin.arguments(self.machine.program) if plugin else ())])
        answers = list(_answers((self.folder / "answers.bin").read_bytes()))
        if len(answers) != len(inferences):
            raise self._failed(f"{len(answers)} answers to {len(inferences)} inferences")
        return answers, self._passages(plugin, len(inferences)) if plugin else []

    def _plugin(self) -> CyclesPlugin:
        entry = self.program.address("bare_invoke") if self.engine.entry is None else self.engine.entry
        return CyclesPlugin(self.folder, [Region(entry)], buckets=[address for address, _ in self.buckets])

    def _passages(self, plugin: CyclesPlugin, count: int) -> list[Passage]:
        passages = list(plugin.passages())
        if len(passages) != count or any(passage.interruptions for passage in passages):
            raise self._failed(f"{len(passages)} passages through invoke were counted, not {count} whole ones")
        return passages

    def _memory(self) -> Iterator[str]:
        for address, data in self.engine.memory.items():
            path = self.folder / f"{address:x}.bin"
            path.write_bytes(data)
            yield from ("-device", f"loader,file={path},addr={address:#x},force-raw=on")

    def _run(self, extra: Sequence[str]) -> None:
        command = [
            find_program(self.machine.program),
            *("-machine", self.machine.machine, "-kernel", str(self.program.elf), "-icount", "shift=0"),
            *("-display", "none", "-nodefaults", "-no-user-config", "-monitor", "none", "-serial", "none"),
            *("-semihosting-config", "enable=on,target=native"),
            *extra,
        ]
        with tempfile.TemporaryFile() as log:
            status = self._wait(start_leashed(command, log=log, folder=self.folder))
            if status != 0:
                log.seek(0)
                words = (log.read().decode(errors="replace").strip().splitlines() or ["no message"])[-1]
                hint = _NO_PLUGINS if "plugin" in words else ""
                raise self._failed(_EXITS.get(status, f"the emulator ended with {status}: {words}"), hint=hint)

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        try:
            return process.wait(self.deadline_s)
        except subprocess.TimeoutExpired as error:
            raise self._failed(
                f"not done in {self.deadline_s:g} s", hint="it hangs, or needs a longer deadline"
            ) from error
        finally:
            process.kill()
            process.wait()

    def _failed(self, message: str, *, hint: str = "") -> BareFailed:
        return BareFailed(f"{self.engine.name}: {message}", hint=hint)


def _answers(data: bytes) -> Iterator[_Answer]:
    offset = 0
    while offset < len(data):
        try:
            setup_stack, invoke_stack, heap, size = _ANSWER.unpack_from(data, offset)
        except struct.error as error:
            raise BareFailed("the answers are cut short") from error
        offset += _ANSWER.size
        yield _Answer(setup_stack, invoke_stack, heap, data[offset : offset + size])
        offset += size
