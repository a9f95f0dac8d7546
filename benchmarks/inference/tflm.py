"""TensorFlow Lite Micro with CMSIS-NN kernels as a contender, from a library that is already built.

``TFLM_ROOT`` names a folder that holds, anywhere in it:

* ``libtensorflow-microlite.a``, the kernels of ``OPTIMIZED_KERNEL_DIR=cmsis_nn`` in it, compiled for the board's
  processor with hard floats (TFLM's own ``BUILD_TYPE=release`` is the fastest); of several, the one whose objects name
  the right architecture is taken;
* the headers it was compiled with: ``tensorflow/…`` and ``signal/…`` of TFLM, ``flatbuffers/…``, ``fixedpoint/…`` of
  gemmlowp and ``ruy/…``.

Each image holds the kernels of its model's operators only, the int8 variants where all of an operator's tensors are.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.inference.engine import GLUE, Candidate
from benchmarks.inference.errors import EngineBroken, Refused
from benchmarks.inference.reference import Reference
from benchmarks.inference.tflite_file import Signature
from flota.toolchain import Compiler
from hil.bare import Engine, Inference, SourceFile, find_machine, measure_bare
from hil.bare.build import CPP_FLAGS
from hil.bare.build import FLAGS as COMMON_FLAGS
from hil.bare.build import FOLDER as BARE_FOLDER
from hil.errors import BareFailed

ARCHITECTURES: Mapping[str, str] = {"qemu-mps2-an386": "v7E-M", "qemu-mps3-an547": "v8.1-M.mainline"}
"""GNU's name of the board's architecture, as the objects of a library tell it."""

PROBE_ARENA_BYTES = 3 << 20
MARGIN_BYTES = 8192
"""How much more than it tells the interpreter is given at most."""

ARENA_STEP = 16
LIBRARY = "libtensorflow-microlite.a"
HEADERS = (
    "tensorflow/lite/micro/micro_interpreter.h",
    "signal/micro/kernels/rfft.h",
    "flatbuffers/flatbuffers.h",
    "fixedpoint/fixedpoint.h",
    "ruy/profiler/instrumentation.h",
)
FLAGS = (
    "-funsigned-char",
    "-DTF_LITE_STATIC_MEMORY",
    "-DTF_LITE_DISABLE_X86_NEON",
    "-DTF_LITE_STRIP_ERROR_STRINGS",
    "-DNDEBUG",
    "-DCMSIS_NN",
    "-w",
)


class Tflm:
    """The interpreter with the operators of one model."""

    name = "tflm+cmsis-nn"

    def missing(self, board: str) -> str:
        """What of ``TFLM_ROOT`` is not there."""
        root = os.environ.get("TFLM_ROOT", "")
        if not root:
            return "set TFLM_ROOT to a folder with a built libtensorflow-microlite.a and its headers"
        try:
            _find(Path(root), board)
        except EngineBroken as error:
            return error.message
        return ""

    def check(self, model: bytes, board: str) -> None:
        """It has nothing to say of a model that the reference refuses."""

    def prepare(self, model: bytes, reference: Reference, board: str, folder: Path) -> Candidate:
        """Link the model with the smallest arena in which it answers as in a large one.

        Raises:
            Refused: an operator is not in this TFLM.
            BareFailed: it does not set the model up, or fails, in any arena.
        """
        parts = _find(Path(os.environ["TFLM_ROOT"]), board)
        glue = _compile_glue(parts, _operators(parts, reference.signature), board, folder)

        def program(arena_bytes: int, source: str = "tflm_run.c") -> Engine:
            data = SourceFile(GLUE / "tflm_data.S", (f"-DARENA_BYTES={arena_bytes}",))
            libraries = (glue, parts.library)
            return Engine(self.name, (SourceFile(GLUE / source), data), {"model.tflite": model}, libraries=libraries)

        def answer(engine: Engine, inputs: bytes) -> bytes | None:
            try:
                return measure_bare(engine, [Inference(inputs)], board=board, counted=False).runs[0].output
            except BareFailed:
                return None  # with too small an arena it may fail in any way

        def runs(arena_bytes: int) -> bool:
            return expected is not None and answer(program(arena_bytes), inputs) == expected

        inputs = b"".join(reference.inputs[0])
        expected = answer(program(PROBE_ARENA_BYTES), inputs)
        told = measure_bare(program(PROBE_ARENA_BYTES, "tflm_tell.c"), [Inference(b"")], board=board, counted=False)
        (used_bytes,) = struct.unpack("<I", told.runs[0].output)
        return Candidate(program(smallest_arena(used_bytes, runs)), reference)


def smallest_arena(used_bytes: int, runs: Callable[[int], bool]) -> int:
    """The smallest multiple of 16 bytes in which ``runs`` says that the model runs.

    ``arena_used_bytes`` leaves out what an operator takes for a moment while it is prepared, and TFLM does not always
    check that it got it; so what it tells is where the search begins.
    """
    low = -(-used_bytes // ARENA_STEP) * ARENA_STEP
    if runs(low):
        return low
    high = low + MARGIN_BYTES
    while high - low > ARENA_STEP:
        middle = (low + high) // 2 // ARENA_STEP * ARENA_STEP
        low, high = (low, middle) if runs(middle) else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class _Parts:
    """What of TFLM an image is made from; ``adders`` by operator name, ``variants`` the headers by int8 operator."""

    library: Path
    include: tuple[Path, ...]
    adders: Mapping[str, str]
    variants: Mapping[str, str]


@cache
def _find(root: Path, board: str) -> _Parts:
    places = dict(_search(root))
    absent = [header for header in HEADERS if header not in places]
    if absent:
        raise EngineBroken(f"TFLM_ROOT={root}: no {absent[0]} below it")
    libraries = [library for name, library in _search(root) if name == LIBRARY and _is_for(library, board)]
    if not libraries:
        raise EngineBroken(f"TFLM_ROOT={root}: no {LIBRARY} for {ARCHITECTURES.get(board, board)} below it")
    include = tuple(dict.fromkeys(places[header] for header in HEADERS))
    micro = places[HEADERS[0]] / "tensorflow" / "lite" / "micro"
    adders = _adders((micro / "micro_mutable_op_resolver.h").read_text())
    return _Parts(libraries[0], include, adders, _variants(micro / "kernels"))


def _search(root: Path) -> Iterator[tuple[str, Path]]:
    """(header, its include folder) and (``LIBRARY``, the file), shallow places last."""
    for path in sorted(root.rglob("*.[ah]"), key=lambda path: -len(path.parts)):
        if path.name == LIBRARY:
            yield LIBRARY, path
        for header in HEADERS:
            if path.as_posix().endswith(f"/{header}"):
                yield header, path.parents[header.count("/")]


def _is_for(library: Path, board: str) -> bool:
    attributes = Compiler().run("readelf", ["-A", str(library)], library.parent)
    found = set(re.findall(r"Tag_CPU_arch: (\S+)", attributes))
    return ARCHITECTURES.get(board) in found and "Tag_ABI_VFP_args: VFP registers" in attributes


def _adders(header: str) -> dict[str, str]:
    """Operator name (``CUSTOM 'x'`` for custom ones) -> the resolver's method."""
    adders = {}
    for method in re.split(r"\n\s*TfLiteStatus (?=Add[A-Z]\w*\()", header)[1:]:
        name = re.match(r"\w+", method)
        builtin = re.search(r"AddBuiltin\(\s*BuiltinOperator_(\w+)", method)
        custom = re.search(r'AddCustom\(\s*"([^"]+)"', method)
        if name and name[0] not in ("AddBuiltin", "AddCustom") and (builtin or custom):
            adders[builtin[1] if builtin else f"CUSTOM {custom[1]!r}" if custom else ""] = name[0]
    return adders


def _variants(kernels: Path) -> dict[str, str]:
    """Operator name -> header that declares its int8-only kernel."""
    return {
        name: header.name
        for header in sorted(kernels.glob("*.h"))
        for name in re.findall(r"^TFLMRegistration Register_(\w+)_INT8\(\);", header.read_text(), re.MULTILINE)
    }


def _compile_glue(parts: _Parts, operators: str, board: str, folder: Path) -> Path:
    """A library of the C++ part, compiled once for all arenas, with the options of the bare harness."""
    (folder / "tflm_operators.h").write_text(operators)
    include = [f"-I{path}" for path in (folder, GLUE, BARE_FOLDER, *parts.include)]
    options = [*find_machine(board).cpu, *COMMON_FLAGS, *CPP_FLAGS, *FLAGS, *include]
    Compiler().run("g++", [*options, "-c", str(GLUE / "tflm.cc"), "-o", "tflm.o"], folder)
    Compiler().run("ar", ["rcs", "libtflm_glue.a", "tflm.o"], folder)
    return folder / "libtflm_glue.a"


def _operators(parts: _Parts, signature: Signature) -> str:
    names = [*signature.builtins, *(f"CUSTOM {name!r}" for name in signature.customs)]
    unknown = [name for name in names if name not in parts.adders]
    if unknown:
        raise Refused(f"this TensorFlow Lite Micro has no operator {unknown[0]}")
    int8 = [name for name in names if name in signature.int8_builtins and name in parts.variants]
    calls = {name: f"tflite::Register_{name}_INT8()" if name in int8 else "" for name in names}
    return "\n".join(
        [
            *(f'#include "tensorflow/lite/micro/kernels/{parts.variants[name]}"' for name in int8),
            f"#define OPERATOR_COUNT {max(1, len(names))}",
            f"#define VARIABLE_COUNT {signature.variables}",
            "template <typename Resolver>",
            "TfLiteStatus register_operators(Resolver& resolver) {",
            *(
                f"  if (resolver.{parts.adders[name]}({calls[name]}) != kTfLiteOk) return kTfLiteError;"
                for name in names
            ),
            "  return kTfLiteOk;",
            "}",
            "",
        ]
    )
