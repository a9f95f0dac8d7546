"""A bench from beginning to end: find what is asked for, build, run, report. The command line only calls this."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from flota.bundle import TensorSignature
from flota.errors import StorageError, UsageError
from flota.files import sha256_hex, shown_name
from flota.programs import find_program
from flota.runtimes.tflm import TflmRuntime
from flota.toolchain import build_firmware, link_image
from hil.bench.cases import random_cases
from hil.bench.host import bench_host
from hil.bench.mcu import McuBench, bench_mcu
from hil.bench.report import BenchReport, Subject
from hil.bench.run import Watch, unwatched
from hil.bench.subjects import McuSubject, find_bundle, installed_version, mcu_subject
from hil.boards import EmulatedMcu, find_board

MAX_RANDOM_CASES = 100
_BENCH_VERSION = "0.0.0"


class TensorFacts(Protocol):
    """An input or output tensor of a compiled model; float tensors have scale 1 and zero point 0."""

    @property
    def name(self) -> str:
        """Its name in the model file."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents, batch included."""
        ...

    @property
    def dtype(self) -> str:
        """``int8``, ``float32``, …"""
        ...

    @property
    def zero_point(self) -> int:
        """The stored value that stands for zero."""
        ...

    @property
    def scale(self) -> float:
        """real = scale * (stored - zero_point)."""
        ...


class CompiledModel(Protocol):
    """What a compiler makes of a ``.tflite`` file (``optimize.compiler.compile_tflite``)."""

    @property
    def files(self) -> Mapping[str, bytes]:
        """Generated C files by name."""
        ...

    @property
    def kernel_sources(self) -> Sequence[str]:
        """Paths below ``firmware/`` of the kernels the generated code calls."""
        ...

    @property
    def inputs(self) -> Sequence[TensorFacts]:
        """Input tensors in order."""
        ...

    @property
    def outputs(self) -> Sequence[TensorFacts]:
        """Output tensors in order."""
        ...

    @property
    def arena_bytes(self) -> int:
        """Working memory the model needs."""
        ...


CompileModel: TypeAlias = Callable[[bytes, str], CompiledModel]
"""(``.tflite`` bytes, name) → compiled model. The parts meet only in the command line, so it is handed in."""


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """What to bench, where and how often.

    Attributes:
        name: A model of the workspace, or the path of a ``.flota`` or ``.tflite`` file.
        file: The file to bench in place of the workspace's bundle.
        version: Model version; None takes the newest.
        seed: Of the random inputs of a ``.tflite`` file.
    """

    name: str
    workspace: Path
    board: str = "qemu-mps2-an386"
    file: Path | None = None
    version: str | None = None
    inferences: int = 100
    warmup: int = 3
    seed: int = 1


def bench(request: BenchRequest, *, compile_model: CompileModel, watch: Watch = unwatched) -> BenchReport:
    """Bench what is asked for; the report is returned, not saved.

    Raises:
        UnknownBoard, UsageError: No such board, model, version or file kind; nothing was built.
        MissingTool: QEMU or the cross-compiler is not installed.
        FlotaError: The model, the bundle or the board refuses; see the functions this calls.
    """
    resource = find_board(request.board)
    path = request.file or _file_named(request.name)
    if not isinstance(resource, EmulatedMcu):
        path = path or find_bundle(request.workspace, request.name, "linux-litert", request.version)
        _refuse_tflite(path)
        return bench_host(path, inferences=request.inferences, warmup=request.warmup, watch=watch)
    find_program(resource.program)
    path = path or find_bundle(request.workspace, request.name, resource.targets[0], request.version)
    subject = _subject(path, request, compile_model, watch)
    watch("build the firmware")
    firmware = build_firmware(request.board, request.workspace / "firmware" / request.board)
    with McuBench(request.board, firmware) as board:
        return bench_mcu(board, subject, inferences=request.inferences, warmup=request.warmup, watch=watch)


def tflite_subject(path: Path, board: str, *, compile_model: CompileModel, seed: int, count: int) -> McuSubject:
    """A bare ``.tflite`` file, compiled and linked for slot A of a board, with ``count`` seeded random cases.

    What each input must give comes from the real TFLM interpreter (``tflite-micro``), byte for byte.

    Raises:
        StorageError: The file cannot be read.
        FlotaError: The compiler refuses the model, the C compiler is missing, or TFLM cannot run it.
    """
    data, name = _read(path), _model_name(path)
    compiled = compile_model(data, name)
    inputs = input_signatures(compiled.inputs)
    reference = TflmRuntime(data, inputs, signatures(compiled.outputs))
    try:
        cases = random_cases(reference, inputs, seed=seed, count=count)
    finally:
        reference.close()
    image = link_image(
        board,
        "A",
        compiled.files,
        compiled.kernel_sources,
        model=name,
        version=_BENCH_VERSION,
        security_counter=0,
        golden=[(cases[0].inputs, cases[0].expected)],
        arena_bytes=compiled.arena_bytes,
    )
    return McuSubject(
        subject=Subject(
            model=name,
            version=_BENCH_VERSION,
            target=find_board(board).targets[0],
            kind="tflite",
            filename=shown_name(path.name),
            sha256=sha256_hex(data),
        ),
        images={"A": image.data},
        cases=cases,
        reference=f"tflite_micro on {count} seeded inputs, seed {seed}",
        tools={"tflite-micro": installed_version("tflite-micro")},
    )


def signatures(tensors: Sequence[TensorFacts]) -> tuple[TensorSignature, ...]:
    """What a bundle would say of the tensors; a bool is a byte of 0 or 1."""
    return tuple(_signature(tensor) for tensor in tensors)


def _signature(tensor: TensorFacts) -> TensorSignature:
    fields = {field: getattr(tensor, field) for field in ("name", "shape", "dtype", "scale", "zero_point")}
    if tensor.dtype == "bool":
        fields["dtype"] = "uint8"
    if tensor.dtype == "int32" and (tensor.scale, tensor.zero_point) == (1.0, 0):
        fields |= {"scale": None, "zero_point": None}
    return TensorSignature.model_validate(fields)


def input_signatures(tensors: Sequence[TensorFacts]) -> tuple[TensorSignature, ...]:
    """The same for inputs, of which cases are drawn.

    Raises:
        UsageError: One is bool, which neither bundles nor cases know.
    """
    for tensor in tensors:
        if tensor.dtype == "bool":
            raise UsageError(
                f"input {shown_name(tensor.name)} is bool; cases are made of int8, uint8, int16, int32 and float32",
                hint="give the model an int8 input, and compare it with 0",
            )
    return signatures(tensors)


def _subject(path: Path, request: BenchRequest, compile_model: CompileModel, watch: Watch) -> McuSubject:
    if path.suffix != ".tflite":
        return mcu_subject(path, request.board)
    watch("compile and link; reference outputs from tflite-micro")
    count = min(request.inferences, MAX_RANDOM_CASES)
    return tflite_subject(path, request.board, compile_model=compile_model, seed=request.seed, count=count)


def _refuse_tflite(path: Path) -> None:
    if path.suffix == ".tflite":
        raise UsageError(
            f"{path.name}: a bare .tflite file is benched on a microcontroller board",
            hint="bench it with --board qemu-mps2-an386, or make a bundle with `flota optimize`",
        )


def _file_named(name: str) -> Path | None:
    """The file the argument names, when it looks like one; a model's name has no suffix."""
    return Path(name) if name.endswith((".flota", ".tflite")) else None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}", hint="check the path of the model") from error


def _model_name(path: Path) -> str:
    """A file's stem as a model name: lower-case letters, digits and hyphens, at most 31 of them."""
    return re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")[:31].strip("-") or "model"
