"""From an engine's sources and libraries to a program for a bare machine.

Everything is compiled with ``FLAGS`` and linked with ``LINK``: ``-O2``, a section for each function and object, unused
ones dropped. So the flash an engine takes is what its models need of it, and the same rules hold for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from flota.errors import UsageError
from flota.toolchain import Compiler
from hil.bare.machines import BareMachine

FLAGS = ("-O2", "-g", "-ffunction-sections", "-fdata-sections", "-fno-common", "-ffp-contract=off")
CPP_FLAGS = ("-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-fno-use-cxa-atexit")
LINK = ("-nostartfiles", "--specs=nano.specs", "--specs=nosys.specs", "-Wl,--gc-sections", "-Wl,--build-id=none")
FOLDER = Path(__file__).resolve().parent

_C_SUFFIXES = (".c", ".S", ".s")
_NM_FIELDS = 7  # name, value, class, type, size, line, section
_CPP_SUFFIXES = (".cc", ".cpp", ".cxx")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to compile, with options of its own."""

    path: Path
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Engine:
    """An inference engine with its models, as sources that define the functions of ``bare.h``.

    Attributes:
        name: For messages.
        sources: C, C++ and assembly files (``.S`` is preprocessed); a relative path names one of ``files``.
        files: Generated files, headers too, by relative path; they lie in the first include folder.
        include: Folders of headers.
        flags: Compiler options for every source.
        libraries: Static libraries, linked as one group after the sources.
        memory: What is there before the program starts, by address; counted in no size.
        entry: Address of the function that is counted; ``bare_invoke`` when None.
    """

    name: str
    sources: tuple[SourceFile, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    include: tuple[Path, ...] = ()
    flags: tuple[str, ...] = ()
    libraries: tuple[Path, ...] = ()
    memory: Mapping[int, bytes] = field(default_factory=dict)
    entry: int | None = None


EMPTY = Engine("empty harness", (SourceFile(FOLDER / "empty.c"),))


@dataclass(frozen=True, slots=True)
class BareProgram:
    """A linked program.

    Attributes:
        elf: The file.
        flash_bytes: Code, constants and initial data, harness included.
        static_bytes: ``.data`` and ``.bss``, harness included.
        functions: Entry address and name of every function, static ones too, in address order.
    """

    elf: Path
    flash_bytes: int
    static_bytes: int
    functions: tuple[tuple[int, str], ...]

    def address(self, name: str) -> int:
        """The entry of a function that exists."""
        return next(address for address, found in self.functions if found == name)


def build_bare(engine: Engine, machine: BareMachine, folder: Path) -> BareProgram:
    """Compile and link ``engine`` with the harness in ``folder``, which exists and is empty.

    Raises:
        UsageError: A generated file's name leads out of the folder, or a source is in no language we compile.
        MissingTool: The cross-compiler is not installed.
        CompileError: The sources do not compile or link, or do not fit the machine.
    """
    compiler = Compiler()
    _write(engine.files, folder)
    include = [f"-I{path}" for path in (folder, FOLDER, *engine.include)]
    flags = [*machine.cpu, *FLAGS, *include]
    own = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
    sources = [SourceFile(FOLDER / name, own) for name in ("startup.c", "harness.c")]
    sources += [SourceFile(source.path, (*engine.flags, *source.flags)) for source in engine.sources]
    objects = [_compile(compiler, source, number, flags, folder) for number, source in enumerate(sources)]
    script = compiler.run("gcc", ["-E", "-P", "-x", "c", *machine.defines, str(FOLDER / "memory.ld")], folder)
    (folder / "bare.ld").write_text(script)
    libraries = ["-Wl,--start-group", *map(str, engine.libraries), "-lm", "-Wl,--end-group"]
    driver = "g++" if any(source.path.suffix in _CPP_SUFFIXES for source in sources) or engine.libraries else "gcc"
    command = [*machine.cpu, *LINK, "-T", "bare.ld", *objects, *libraries, "-o", "bare.elf"]
    compiler.run(driver, command, folder)
    return _program(compiler, folder)


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    for name, text in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise UsageError(f"generated file {name!r} lies outside the build folder")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text)


def _compile(compiler: Compiler, source: SourceFile, number: int, flags: Sequence[str], folder: Path) -> str:
    suffix, name = source.path.suffix, f"{number:03d}-{source.path.stem}.o"
    if suffix not in (*_C_SUFFIXES, *_CPP_SUFFIXES):
        raise UsageError(f"{source.path.name}: not a C, C++ or assembly file")
    tool, language = ("g++", CPP_FLAGS) if suffix in _CPP_SUFFIXES else ("gcc", ())
    compiler.run(tool, [*flags, *language, *source.flags, "-c", str(source.path), "-o", name], folder)
    return name


def _program(compiler: Compiler, folder: Path) -> BareProgram:
    values: dict[str, int] = {}
    functions: list[tuple[int, str]] = []
    for line in compiler.run("nm", ["-n", "-f", "sysv", "bare.elf"], folder).splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == _NM_FIELDS and fields[1]:
            values[fields[0]] = int(fields[1], 16)
            if fields[3] == "FUNC":
                functions.append((int(fields[1], 16) & ~1, fields[0]))
    return BareProgram(
        elf=folder / "bare.elf",
        flash_bytes=values["bare_code_end"] - values["bare_code_start"],
        static_bytes=values["bare_bss_end"] - values["bare_data_start"],
        functions=tuple(functions),
    )
