"""The portable core built for this machine, with sanitizers: the simulator and the codec that the unit tests drive."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from flota.boardlink.geometry import FIRMWARE_FOLDER
from flota.errors import StorageError
from flota.files import sha256_hex, write_atomic
from flota.toolchain.cheader import wire_header
from flota.toolchain.compiler import WARNINGS, Compiler
from flota.toolchain.thirdparty import fetch_third_party

_CODEC_SOURCES = ("crc32.c", "frame.c", "sodium_port.c")
_SANITIZE = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-D_GNU_SOURCE")


def build_host(program: str, out_dir: Path) -> Path:
    """Build ``firmware/host/<program>.c`` with the core into ``out_dir``; nothing is done when it is up to date.

    Raises:
        MissingTool: There is no C compiler.
        ThirdPartyMissing: The third-party sources cannot be had.
        CompileError: The sources do not compile.
        StorageError: ``out_dir`` cannot be written.
    """
    compiler, third_party = Compiler(""), fetch_third_party()
    core = sorted(path for path in (FIRMWARE_FOLDER / "src").glob("*.c") if _needed(program, path.name))
    sources = [FIRMWARE_FOLDER / "host" / f"{program}.c", *core]
    foreign = third_party.sources if program == "simulator" else (third_party.sha512,)
    headers = [*(FIRMWARE_FOLDER / "src").glob("*.h"), *(FIRMWARE_FOLDER / "include").rglob("*.h")]
    texts = [wire_header().encode(), *(path.read_bytes() for path in [*sources, *foreign, *sorted(headers)])]
    target = out_dir / f"{program}-{sha256_hex(b'|'.join([compiler.version().encode(), *texts]))[:16]}"
    if target.is_file():
        return target
    try:
        with tempfile.TemporaryDirectory() as scratch:
            _compile(compiler, sources, foreign, third_party.flags, Path(scratch))
            write_atomic(target, (Path(scratch) / "program").read_bytes(), mode=0o755)
    except OSError as error:
        raise StorageError(f"{out_dir}: {error.strerror or error}", hint="check free space and permissions") from error
    return target


def _needed(program: str, source: str) -> bool:
    return program == "simulator" or source in _CODEC_SOURCES


def _compile(
    compiler: Compiler, sources: Sequence[Path], foreign: Sequence[Path], third_party: Sequence[str], scratch: Path
) -> None:
    (scratch / "flota").mkdir()
    (scratch / "flota" / "wire.h").write_text(wire_header())
    include = ["-I.", f"-I{FIRMWARE_FOLDER / 'include'}", f"-I{FIRMWARE_FOLDER / 'src'}", *third_party]
    objects = []
    for index, source in enumerate([*sources, *foreign]):
        warnings = ("-w",) if source in foreign else WARNINGS
        name = f"{index:02d}.o"
        compiler.run("gcc", [*warnings, *_SANITIZE, *include, "-c", str(source), "-o", name], scratch)
        objects.append(name)
    compiler.run("gcc", [*_SANITIZE, *objects, "-o", "program"], scratch)
