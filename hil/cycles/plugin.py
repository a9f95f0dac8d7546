"""Building the plugin with this machine's C compiler, and what QEMU is told to load it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flota.errors import StorageError
from flota.files import sha256_hex, write_atomic
from flota.toolchain import Compiler
from flota.toolchain.compiler import WARNINGS
from flota.toolchain.thirdparty import default_cache
from hil.boards.qemu import qemu_version
from hil.cycles.counts import Passage, parse_counts
from hil.errors import CountsInvalid

_FOLDER = Path(__file__).resolve().parent
_SOURCES = ("cortex_m4.c", "plugin.c")
_HEADERS = ("cortex_m4.h", "qemu_plugin.h")
_FLAGS = (*WARNINGS, "-O2", "-fPIC", "-shared", "-fvisibility=hidden")
_INTERFACES = (((9, 1), 3), ((9, 0), 2))  # QEMU from this version on, version of its plugin interface


@dataclass(frozen=True, slots=True)
class Region:
    """What is counted: from the instruction at ``start`` up to the one at ``stop``, which is not.

    ``stop`` None: until the function that begins at ``start`` returns.
    """

    start: int
    stop: int | None = None


def interface_version(qemu: str) -> int:
    """Which version of the plugin interface to build for, by QEMU's own version (``7.2.22``).

    QEMU takes plugins of its own version and some older ones: 9.0 and later none of version 1, 9.1 changed a function.
    """
    digits = re.match(r"(\d+)\.(\d+)", qemu)
    numbers = (int(digits[1]), int(digits[2])) if digits else (0, 0)
    return next((version for since, version in _INTERFACES if numbers >= since), 1)


def build_plugin(cache: Path | None = None, *, interface: int = 1) -> Path:
    """The plugin as a shared library, compiled if it is not in the cache yet.

    Args:
        interface: Version of QEMU's plugin interface.
        cache: Folder to keep it in; where the toolchain caches things when None.

    Raises:
        MissingTool: There is no C compiler.
        CompileError: It refused the sources.
        StorageError: The cache cannot be written.
    """
    compiler, folder = Compiler(""), cache or default_cache()
    texts = [(_FOLDER / name).read_bytes() for name in (*_SOURCES, *_HEADERS)]
    flags = (*_FLAGS, f"-DQEMU_PLUGIN_VERSION={interface}")
    digest = sha256_hex(b"\0".join([compiler.version().encode(), " ".join(flags).encode(), *texts]))
    target = folder / f"cycles-{digest[:16]}.so"
    if target.is_file():
        return target
    try:
        with tempfile.TemporaryDirectory() as scratch:
            sources = [str(_FOLDER / name) for name in _SOURCES]
            compiler.run("gcc", [*flags, *sources, "-o", "cycles.so"], Path(scratch))
            write_atomic(target, (Path(scratch) / "cycles.so").read_bytes(), mode=0o755)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror or error}", hint="check free space and permissions") from error
    return target


class CyclesPlugin:
    """The plugin as one run of QEMU uses it; its two small files lie in ``folder``, which has no comma in its path.

    Args:
        folder: An existing folder of this run's own.
        regions: What is counted, at least one.
        buckets: Entry addresses of functions whose costs are told apart; a bucket has what its callees take, unless
            they are buckets themselves.
    """

    def __init__(self, folder: Path, regions: Sequence[Region], *, buckets: Sequence[int] = ()) -> None:
        self._regions, self._buckets = len(regions), len(buckets)
        self._spec, self._out = folder / "cycles.spec", folder / "cycles.out"
        lines = [f"region {region.start & ~1:x} {(region.stop or 0) & ~1:x}" for region in regions]
        lines += [f"bucket {address & ~1:x}" for address in buckets]
        self._spec.write_text("\n".join(lines) + "\n")

    def arguments(self, program: str) -> tuple[str, ...]:
        """What to add to the command line of ``program``, a QEMU.

        Raises:
            FlotaError: As :func:`build_plugin`.
            StorageError: A path has a comma, at which QEMU would split it.
        """
        library = build_plugin(interface=interface_version(qemu_version(program)))
        for folder, variable in ((self._spec.parent, "TMPDIR"), (library.parent, "HOME")):
            if "," in str(folder):
                hint = f"set {variable} to another folder"
                raise StorageError(f"{folder}: QEMU takes no plugin's file below a folder with a comma", hint=hint)
        return ("-plugin", f"{library},spec={self._spec},out={self._out}")

    def passages(self) -> tuple[Passage, ...]:
        """What was counted, in order. Call it when QEMU has ended by itself.

        Raises:
            CountsInvalid: It wrote nothing, or the file is not whole.
        """
        try:
            text = self._out.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise CountsInvalid("the emulator wrote no counts", hint="it was stopped before the end") from error
        return parse_counts(text, regions=self._regions, buckets=self._buckets)
