"""The two things that are built: a board's base firmware, and a model image for one of its slots."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flota.boardlink.geometry import FIRMWARE_FOLDER, BoardGeometry, find_geometry
from flota.errors import StorageError, UsageError
from flota.files import sha256_hex, write_atomic
from flota.image import PAYLOAD_ALIGN, PAYLOAD_OFFSET, UNSIGNED, ImageHeader, Slot
from flota.toolchain.cheader import board_header, wire_header
from flota.toolchain.compiler import WARNINGS, CompileError, Compiler
from flota.toolchain.thirdparty import ThirdParty, fetch_third_party

OPTIMIZE = ("-O2", "-g", "-ffunction-sections", "-fdata-sections", "-fno-common", "-ffp-contract=off")
_LINK = ("-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections", "-Wl,--fatal-warnings", "-Wl,--build-id=none")


@dataclass(frozen=True, slots=True)
class FirmwareBuild:
    """A built base firmware.

    Attributes:
        elf: What `qemu -kernel` loads or a debug probe flashes.
        flash_bytes: Code, constants and initial data.
        ram_bytes: Static RAM, without stack and arena.
    """

    elf: Path
    flash_bytes: int
    ram_bytes: int


@dataclass(frozen=True, slots=True)
class UnsignedImage:
    """A model image with a zero signature.

    Attributes:
        data: Signature (zeros), header, payload.
        header: What its header says.
        flash_bytes: Code and constants of the model, without golden vectors, header and signature.
        elf: The linked program, for a debugger or a disassembler.
    """

    data: bytes
    header: ImageHeader
    flash_bytes: int
    elf: bytes


def build_firmware(board: str, out_dir: Path) -> FirmwareBuild:
    """Build the base firmware of ``board`` into ``out_dir``; nothing is done when it is there and up to date.

    Raises:
        UsageError: No firmware for such a board.
        MissingTool: The cross-compiler is not installed.
        ThirdPartyMissing: The third-party sources cannot be had.
        CompileError: The sources do not compile.
        StorageError: ``out_dir`` cannot be written.
    """
    geometry, compiler, third_party = find_geometry(board), Compiler(), fetch_third_party()
    sources = _firmware_sources(geometry)
    digest = _digest(geometry, [*sources, *third_party.sources], compiler)
    built = _built_before(out_dir, digest)
    if built is not None:
        return built
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out_dir) as scratch:
            return _compile_firmware(geometry, sources, third_party, compiler, Path(scratch), out_dir, digest)
    except OSError as error:
        raise StorageError(f"{out_dir}: {error.strerror or error}", hint="check free space and permissions") from error


def link_image(
    board: str,
    slot: Slot,
    sources: Mapping[str, bytes],
    kernel_sources: Sequence[str],
    *,
    model: str,
    version: str,
    security_counter: int,
    golden: Sequence[tuple[bytes, bytes]],
    arena_bytes: int,
) -> UnsignedImage:
    """Compile a model and link it for one slot of ``board``. The same arguments give the same bytes.

    Args:
        board: Name of a board with firmware.
        slot: ``"A"`` or ``"B"``.
        sources: Generated files by name (``model.c``, ``model.h``); the ``.c`` and ``.S`` ones are compiled.
        kernel_sources: Paths below ``firmware/`` (``src/nn/conv.c``) of what the model calls.
        model: Name of the model.
        version: ``MAJOR.MINOR.PATCH``.
        security_counter: The release's floor.
        golden: Cases the device tests itself with: (input bytes, expected output bytes), all of one size.
        arena_bytes: Working memory, as in the model's own ``flota_model``.

    Raises:
        UsageError: No such board, or golden cases of different sizes or none.
        MissingTool: The cross-compiler is not installed.
        CompileError: The sources do not compile, have writable data, or do not fit the slot.
        ImageError: A name or a number does not fit the header.
    """
    geometry, compiler = find_geometry(board), Compiler()
    inputs, outputs = _golden(golden)
    with tempfile.TemporaryDirectory() as scratch:
        code, model_offset, elf = _link_payload(geometry, slot, sources, kernel_sources, compiler, Path(scratch))
    inputs_offset = _aligned(len(code))
    outputs_offset = _aligned(inputs_offset + len(inputs))
    payload = code.ljust(inputs_offset, b"\0") + inputs
    payload = payload.ljust(outputs_offset, b"\0") + outputs
    payload = payload.ljust(_aligned(len(payload)), b"\0")
    header = ImageHeader(
        board=board,
        slot=slot,
        load_address=geometry.slot_address(slot),
        model=model,
        version=version,
        security_counter=security_counter,
        payload_bytes=len(payload),
        model_offset=model_offset,
        arena_bytes=arena_bytes,
        golden_count=len(golden),
        golden_inputs_offset=inputs_offset,
        golden_outputs_offset=outputs_offset,
        input_bytes=len(golden[0][0]),
        output_bytes=len(golden[0][1]),
    )
    if header.image_bytes > geometry.flash.layout.slot_bytes:
        raise CompileError(
            f"the image has {header.image_bytes} bytes, a slot of {board} {geometry.flash.layout.slot_bytes}"
        )
    return UnsignedImage(data=UNSIGNED + header.pack() + payload, header=header, flash_bytes=len(code), elf=elf)


def _firmware_sources(geometry: BoardGeometry) -> list[Path]:
    core = sorted((FIRMWARE_FOLDER / "src").glob("*.[cS]"))
    return [*core, *_port_files(geometry, "*.[cS]")]


def _port_files(geometry: BoardGeometry, pattern: str) -> list[Path]:
    return [path for folder in geometry.source_folders for path in sorted(folder.glob(pattern))]


def _digest(geometry: BoardGeometry, sources: Sequence[Path], compiler: Compiler) -> str:
    headers = [
        *sorted((FIRMWARE_FOLDER / "include").rglob("*.h")),
        *sorted((FIRMWARE_FOLDER / "src").glob("*.h")),
        *_port_files(geometry, "*.[hl]*"),
    ]
    parts = [wire_header(), board_header(geometry), compiler.version(), *OPTIMIZE, *_LINK, *geometry.compiler.cpu]
    texts = [part.encode() for part in parts] + [path.read_bytes() for path in [*sources, *headers]]
    return sha256_hex(b"".join(len(text).to_bytes(8, "little") + text for text in texts))


def _built_before(out_dir: Path, digest: str) -> FirmwareBuild | None:
    try:
        found = json.loads((out_dir / "build.json").read_text())
        elf = out_dir / found["elf"]
        if found["digest"] == digest and elf.is_file():
            return FirmwareBuild(elf, int(found["flash_bytes"]), int(found["ram_bytes"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None


def _compile_firmware(
    geometry: BoardGeometry,
    sources: Sequence[Path],
    third_party: ThirdParty,
    compiler: Compiler,
    scratch: Path,
    out_dir: Path,
    digest: str,
) -> FirmwareBuild:
    _write_headers(scratch, geometry)
    include = [
        *(f"-I{folder}" for folder in ("include", FIRMWARE_FOLDER / "include", FIRMWARE_FOLDER / "src")),
        *(f"-I{folder}" for folder in geometry.source_folders),
        *third_party.flags,
    ]
    flags = [*geometry.compiler.cpu, *OPTIMIZE, *include]
    objects = _compile(compiler, sources, [*flags, *WARNINGS], scratch)
    objects += _compile(compiler, third_party.sources, [*flags, "-w"], scratch, prefix="third-")
    script = _linker_script(compiler, _memory_layout(geometry), ["-Iinclude"], scratch)
    compiler.run("gcc", [*geometry.compiler.cpu, *_LINK, "-T", script, *objects, "-o", "firmware.elf"], scratch)
    flash_bytes, ram_bytes = _sizes(compiler, scratch)
    elf = out_dir / "firmware.elf"
    write_atomic(elf, (scratch / "firmware.elf").read_bytes())
    build = {"digest": digest, "elf": elf.name, "flash_bytes": flash_bytes, "ram_bytes": ram_bytes}
    write_atomic(out_dir / "build.json", json.dumps(build, indent=1).encode() + b"\n")
    return FirmwareBuild(elf, flash_bytes, ram_bytes)


def _memory_layout(geometry: BoardGeometry) -> Path:
    found = _port_files(geometry, "memory.ld")
    if not found:
        raise CompileError(f"the port of {geometry.name} has no memory.ld", hint="see firmware/boards/cmsdk")
    return found[0]


def _sizes(compiler: Compiler, folder: Path) -> tuple[int, int]:
    symbols = _symbols(compiler, folder / "firmware.elf")
    flash_bytes = symbols["flota_code_end"] - symbols["flota_code_start"]
    return flash_bytes, symbols["flota_bss_end"] - symbols["flota_data_start"]


def _link_payload(
    geometry: BoardGeometry,
    slot: Slot,
    sources: Mapping[str, bytes],
    kernel_sources: Sequence[str],
    compiler: Compiler,
    scratch: Path,
) -> tuple[bytes, int, bytes]:
    """Payload without golden vectors, offset of ``flota_model`` in it, and the ELF."""
    paths = [*_write_sources(scratch, sources), *map(_kernel, kernel_sources)]
    origin = geometry.slot_address(slot) + PAYLOAD_OFFSET
    include = ["-I.", f"-I{FIRMWARE_FOLDER / 'include'}", f"-I{FIRMWARE_FOLDER / 'src' / 'nn'}"]
    prefix = [f"-ffile-prefix-map={FIRMWARE_FOLDER}=firmware", f"-ffile-prefix-map={scratch}=."]
    objects = _compile(compiler, paths, [*geometry.compiler.cpu, *OPTIMIZE, *include, *prefix, *WARNINGS], scratch)
    defines = [
        f"-DFLOTA_PAYLOAD_ORIGIN={origin:#x}",
        f"-DFLOTA_PAYLOAD_BYTES={geometry.flash.layout.slot_bytes - PAYLOAD_OFFSET:#x}",
    ]
    script = _linker_script(compiler, FIRMWARE_FOLDER / "image.ld", defines, scratch)
    link = [*geometry.compiler.cpu, *_LINK, "-T", script, *objects, "-lm", "-o", "image.elf"]
    compiler.run("gcc", link, scratch)
    compiler.run("objcopy", ["-O", "binary", "image.elf", "image.bin"], scratch)
    symbols = _symbols(compiler, scratch / "image.elf")
    if "flota_model" not in symbols:
        raise CompileError("the sources define no flota_model", hint="see firmware/include/flota/model.h")
    return (scratch / "image.bin").read_bytes(), symbols["flota_model"] - origin, (scratch / "image.elf").read_bytes()


def _write_headers(folder: Path, geometry: BoardGeometry) -> None:
    include = folder / "include" / "flota"
    include.mkdir(parents=True)
    (include / "wire.h").write_text(wire_header())
    (include / "board_config.h").write_text(board_header(geometry))


def _write_sources(folder: Path, sources: Mapping[str, bytes]) -> list[Path]:
    paths = []
    for name, text in sources.items():
        if Path(name).name != name:
            raise UsageError(f"source {name!r} is not a plain file name")
        (folder / name).write_bytes(text)
        if name.endswith((".c", ".S")):
            paths.append(Path(name))
    if not paths:
        raise UsageError("there is no .c file among the sources")
    return paths


def _kernel(name: str) -> Path:
    path = FIRMWARE_FOLDER / name
    if not path.is_file():
        raise CompileError(f"there is no kernel source {name}", hint="name paths below firmware/, such as src/nn/nn.c")
    return path


def _compile(
    compiler: Compiler, sources: Iterable[Path], flags: Sequence[str], folder: Path, *, prefix: str = ""
) -> list[str]:
    objects = []
    for index, source in enumerate(sources):
        name = f"{prefix}{index:02d}-{source.stem}.o"
        compiler.run("gcc", [*flags, "-c", str(source), "-o", name], folder)
        objects.append(name)
    return objects


def _linker_script(compiler: Compiler, script: Path, flags: Sequence[str], folder: Path) -> str:
    text = compiler.run("gcc", ["-E", "-P", "-x", "c", *flags, str(script)], folder)
    (folder / script.name).write_text(text)
    return script.name


def _symbols(compiler: Compiler, elf: Path) -> dict[str, int]:
    lines = compiler.run("nm", [elf.name], elf.parent).splitlines()
    fields = [line.split() for line in lines]
    return {parts[2]: int(parts[0], 16) for parts in fields if len(parts) == 3}


def _golden(golden: Sequence[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    sizes = {(len(inputs), len(outputs)) for inputs, outputs in golden}
    if len(sizes) != 1 or 0 in next(iter(sizes)):
        raise UsageError("golden cases are missing, empty or of different sizes", hint="give at least one whole case")
    return b"".join(inputs for inputs, _ in golden), b"".join(outputs for _, outputs in golden)


def _aligned(size: int) -> int:
    return -(-size // PAYLOAD_ALIGN) * PAYLOAD_ALIGN
