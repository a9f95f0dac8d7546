"""The third-party C sources of the firmware: fetched once by version and hash, kept in a cache, vendored nowhere.

The pins are ``firmware/third_party.txt``. pip fetches the source distributions (from whichever index this machine is
set up for) and checks their hashes; the few files the firmware needs are kept under ``~/.cache/flota``.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from flota.boardlink.geometry import FIRMWARE_FOLDER
from flota.errors import FlotaError, StorageError
from flota.files import sha256_hex, write_atomic

REQUIREMENTS = FIRMWARE_FOLDER / "third_party.txt"
_TIMEOUT_S = 300
_PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[0-9.]+) --hash=sha256:(?P<sha256>[0-9a-f]{64})$", re.MULTILINE)
_HINT = "run `python -m flota.toolchain --fetch` once with network access; afterwards no network is needed"

_SODIUM = "src/libsodium/src/libsodium"
_KEPT = {
    "pymonocypher": {name: f"monocypher/{name}" for name in ("monocypher.c", "monocypher.h", "LICENSE.txt")},
    "pynacl": {
        "src/libsodium/LICENSE": "sodium/LICENSE",
        f"{_SODIUM}/crypto_hash/sha512/cp/hash_sha512_cp.c": "sodium/hash_sha512_cp.c",
        **{
            f"{_SODIUM}/include/sodium/{name}": f"sodium/{name}"
            for name in ("crypto_hash_sha512.h", "export.h", "utils.h", "private/common.h")
        },
    },
}
"""By package: where a file is in its source distribution, and where we keep it."""


class ThirdPartyMissing(FlotaError):
    """The third-party sources are not in the cache and could not be fetched."""

    code = "toolchain.third-party"


@dataclass(frozen=True, slots=True)
class ThirdParty:
    """Fetched sources: what to compile, and the folders their headers are in. They are not held to our warnings."""

    folder: Path

    @property
    def sources(self) -> tuple[Path, ...]:
        """The C files."""
        return (self.folder / "monocypher" / "monocypher.c", self.sha512)

    @property
    def sha512(self) -> Path:
        """libsodium's SHA-512 alone."""
        return self.folder / "sodium" / "hash_sha512_cp.c"

    @property
    def flags(self) -> tuple[str, ...]:
        """Compiler options for them and for what includes their headers."""
        folders = (self.folder / "monocypher", self.folder / "sodium")
        return ("-DCONFIGURED=1", *(f"-isystem{folder}" for folder in folders))


def default_cache() -> Path:
    """Where fetched sources are kept."""
    return Path.home() / ".cache" / "flota"


def fetch_third_party(cache: Path | None = None) -> ThirdParty:
    """The pinned sources, fetched if they are not there yet.

    Args:
        cache: Folder to keep them in; :func:`default_cache` when None.

    Raises:
        ThirdPartyMissing: They cannot be had: no network, no pip, or other bytes than the pin says.
        StorageError: The cache cannot be written.
    """
    text = REQUIREMENTS.read_text()
    pins = {pin["name"]: pin for pin in _PIN.finditer(text)}
    if pins.keys() != _KEPT.keys():
        raise ThirdPartyMissing(f"{REQUIREMENTS.name} holds other pins than we need", hint="restore that file from git")
    folder = (cache or default_cache()) / f"third-party-{sha256_hex(text.encode())[:12]}"
    try:
        for name, pin in pins.items():
            if not all((folder / kept).is_file() for kept in _KEPT[name].values()):
                _fetch(pin, folder)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror or error}", hint="check free space and permissions") from error
    return ThirdParty(folder)


def _fetch(pin: re.Match[str], folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        archive = _download(Path(scratch), pin)
        if hashlib.sha256(archive.read_bytes()).hexdigest() != pin["sha256"]:
            raise ThirdPartyMissing(
                f"{archive.name} is not the pinned file", hint="delete pip's cache: pip cache purge"
            )
        _keep(archive, _KEPT[pin["name"]], folder)


def _download(folder: Path, pin: re.Match[str]) -> Path:
    """Let pip fetch the source distribution; it knows this machine's indexes, proxies and certificates.

    pip insists on the distribution's metadata, which setuptools makes; ours (pinned, in the environment) will do.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(pin.group(0) + "\n")
    command = [
        *(sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"),
        *("--no-binary", ":all:", "--no-build-isolation", "--require-hashes", "-r", str(requirements)),
        *("-d", str(folder)),
    ]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ThirdPartyMissing(f"pip did not finish: {error}", hint=_HINT) from error
    found = sorted(folder.glob("*.tar.gz"))
    if result.returncode != 0 or len(found) != 1:
        lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        reason = (lines or ["pip gave no reason"])[0].removeprefix("ERROR: ")
        raise ThirdPartyMissing(f"cannot fetch the sources of {pin['name']}: {reason}", hint=_HINT)
    return found[0]


def _keep(archive: Path, wanted: dict[str, str], folder: Path) -> None:
    try:
        with tarfile.open(archive) as content:
            for member in content:
                kept = wanted.get(member.name.partition("/")[2])
                stream = content.extractfile(member) if kept else None
                if kept and stream is not None:
                    write_atomic(folder / kept, stream.read())
    except tarfile.TarError as error:
        raise ThirdPartyMissing(f"{archive.name} is not an archive: {error}") from error
    missing = [kept for kept in wanted.values() if not (folder / kept).is_file()]
    if missing:
        raise ThirdPartyMissing(f"{archive.name} lacks {', '.join(missing)}", hint="pin another version")
