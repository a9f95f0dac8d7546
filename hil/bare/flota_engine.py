"""Models of our compiler as a bare engine: the files it generated, one image for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from flota.boardlink.geometry import FIRMWARE_FOLDER
from flota.errors import UsageError
from hil.bare.build import FOLDER, Engine, SourceFile

_KERNEL_FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
OPERATORS = r"op\d+_\w+"
"""The functions that a generated model has for its operators, as a pattern of buckets."""


class Compiled(Protocol):
    """What is needed of a compiled model (``optimize.compiler.CompiledModel``)."""

    @property
    def files(self) -> Mapping[str, bytes]:
        """Generated files by name: ``model.c``, ``model.h``."""
        ...

    @property
    def kernel_sources(self) -> Sequence[str]:
        """Paths below ``firmware/`` of what the model calls."""
        ...

    @property
    def arena_bytes(self) -> int:
        """Working memory."""
        ...


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A :class:`Compiled` of plain values."""

    files: Mapping[str, bytes]
    kernel_sources: tuple[str, ...]
    arena_bytes: int


def flota_engine(models: Sequence[Compiled], *, name: str = "flota") -> Engine:
    """An engine with ``models``; an inference names one by its index.

    Every model is compiled in a folder of its own, with ``flota_model`` renamed; kernels are there once.

    Raises:
        UsageError: There are no models, or a kernel does not exist.
    """
    if not models:
        raise UsageError("an image needs at least one model")
    kernels = sorted({kernel for model in models for kernel in model.kernel_sources})
    sources = [SourceFile(FOLDER / "flota_engine.c", _KERNEL_FLAGS)]
    sources += [SourceFile(_kernel(kernel), _flags(kernel)) for kernel in kernels]
    files = {"bare_models.h": _header(models)}
    for index, model in enumerate(models):
        files |= {f"model_{index}/{file}": text for file, text in model.files.items()}
        sources += list(_model_sources(index, model.files))
    firmware = FIRMWARE_FOLDER
    include = (firmware / "include", firmware / "src" / "nn")
    return Engine(name=name, sources=tuple(sources), files=files, include=include)


def _model_sources(index: int, names: Iterable[str]) -> Iterable[SourceFile]:
    for name in sorted(names):
        if PurePosixPath(name).suffix in (".c", ".S"):
            flags = (*_flags(name), f"-Dflota_model=flota_model_{index}")
            yield SourceFile(Path(f"model_{index}/{name}"), flags)


def _flags(name: str) -> tuple[str, ...]:
    return _KERNEL_FLAGS if name.endswith(".c") else ()


def _header(models: Sequence[Compiled]) -> bytes:
    """Declares the renamed models; ``BARE_MODELS`` is the list of their addresses."""
    lines = ['#include "flota/model.h"', f"#define BARE_ARENA_BYTES {max(1, *(m.arena_bytes for m in models))}u"]
    lines += [f"extern const flota_model_t flota_model_{index};" for index in range(len(models))]
    lines.append("#define BARE_MODELS " + ", ".join(f"&flota_model_{index}" for index in range(len(models))))
    return "\n".join(lines).encode() + b"\n"


def _kernel(name: str) -> Path:
    path = FIRMWARE_FOLDER / name
    if not path.is_file():
        raise UsageError(f"there is no kernel source {name}", hint="name paths below firmware/")
    return path
