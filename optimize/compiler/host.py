"""Builds a compiled model into a shared library for this machine."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from flota.files import write_atomic
from flota.programs import find_program
from optimize.errors import CompilationFailed

if TYPE_CHECKING:
    from optimize.compiler import CompiledModel

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
"""Where the C sources live; a wheel ships them beside ``optimize``."""

LIBRARY_NAME = "libmodel.so"
FLAGS = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fPIC", "-shared")
SANITIZE_FLAGS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
TIMEOUT_S = 300


def build_host_library(compiled: CompiledModel, out_dir: Path, *, sanitize: bool = False) -> Path:
    """Compile ``compiled`` and its kernels to ``out_dir/libmodel.so``, which exports ``flota_model``.

    ``sanitize`` adds AddressSanitizer and UndefinedBehaviorSanitizer; a Python process that loads such a library has to
    be started with ``LD_PRELOAD`` set to the output of ``gcc -print-file-name=libasan.so``.

    Raises:
        MissingTool: ``gcc`` is not installed.
        CompilationFailed: the compiler refused the code or took longer than ``TIMEOUT_S`` seconds.
    """
    with tempfile.TemporaryDirectory(prefix="flota-host-") as scratch:
        folder = Path(scratch)
        for name, content in compiled.files.items():
            (folder / name).write_bytes(content)
        sources = [folder / "model.c", *(FIRMWARE / host_source(source) for source in compiled.kernel_sources)]
        library = compile_shared(sources, folder / LIBRARY_NAME, sanitize=sanitize)
        out_dir.mkdir(parents=True, exist_ok=True)
        target = out_dir / LIBRARY_NAME
        write_atomic(target, library.read_bytes())
    return target


def host_source(source: str) -> str:
    """What stands for a kernel source on this machine: beside ``x.S`` lies ``x_host.c``, the same function in C."""
    return source.removesuffix(".S") + "_host.c" if source.endswith(".S") else source


def compile_shared(sources: list[Path], library: Path, *, sanitize: bool, extra: tuple[str, ...] = ()) -> Path:
    """Run the host's C compiler on ``sources`` with the flags of this module, then ``extra``; returns ``library``."""
    flags = FLAGS + (SANITIZE_FLAGS if sanitize else ()) + extra
    command = [find_program("gcc"), *flags, f"-I{FIRMWARE / 'include'}", *map(str, sources), "-o", str(library)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise CompilationFailed(f"gcc did not finish in {TIMEOUT_S} s", hint="the model may be too large") from error
    if done.returncode != 0:
        first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:200])
        raise CompilationFailed(f"gcc refused the model's code: {first}", hint="report this with the model file")
    return library
