"""Monocypher's C sources: fetched once by version and hash, kept in a cache, vendored nowhere.

The pin is ``firmware/third_party.txt``. pip fetches the source distribution (from whichever index this machine is set
up for) and checks its hash; two files of it are kept under ``~/.cache/flota``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from flota.boardlink.geometry import FIRMWARE_FOLDER
from flota.errors import FlotaError, StorageError
from flota.files import write_atomic

REQUIREMENTS = FIRMWARE_FOLDER / "third_party.txt"
FILES = ("monocypher.c", "monocypher.h", "LICENSE.txt")
_TIMEOUT_S = 300
_PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[0-9.]+) --hash=sha256:(?P<sha256>[0-9a-f]{64})$", re.MULTILINE)


class ThirdPartyMissing(FlotaError):
    """The third-party sources are not in the cache and could not be fetched."""

    code = "toolchain.third-party"


def default_cache() -> Path:
    """Where fetched sources are kept."""
    return Path.home() / ".cache" / "flota"


def fetch_monocypher(cache: Path | None = None) -> Path:
    """The folder with ``monocypher.c`` and ``monocypher.h`` of the pinned version, fetched if it is not there yet.

    Args:
        cache: Folder to keep it in; :func:`default_cache` when None.

    Raises:
        ThirdPartyMissing: It cannot be had: no network, no pip, or other bytes than the pin says.
    """
    pin = _PIN.search(REQUIREMENTS.read_text())
    if pin is None:
        raise ThirdPartyMissing(f"{REQUIREMENTS.name} holds no pin", hint="restore that file from git")
    folder = (cache or default_cache()) / f"{pin['name']}-{pin['version']}-{pin['sha256'][:12]}"
    if all((folder / name).is_file() for name in FILES):
        return folder
    try:
        with tempfile.TemporaryDirectory() as scratch:
            archive = _download(Path(scratch), pin["name"])
            if hashlib.sha256(archive.read_bytes()).hexdigest() != pin["sha256"]:
                raise ThirdPartyMissing(
                    f"{archive.name} is not the pinned file", hint="delete pip's cache: pip cache purge"
                )
            _keep(archive, folder)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror or error}", hint="check free space and permissions") from error
    return folder


def _download(folder: Path, name: str) -> Path:
    """Let pip fetch the source distribution; it knows this machine's indexes, proxies and certificates."""
    options = ["--no-deps", "--no-binary", name, "--require-hashes", "--disable-pip-version-check", "-q"]
    if importlib.util.find_spec("setuptools") is not None:
        options.append("--no-build-isolation")  # pip wants the metadata; with setuptools here it needs nothing else
    command = [sys.executable, "-m", "pip", "download", *options, "-r", str(REQUIREMENTS), "-d", str(folder)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ThirdPartyMissing(f"pip did not finish: {error}", hint=_HINT) from error
    found = sorted(folder.glob("*.tar.gz"))
    if result.returncode != 0 or len(found) != 1:
        lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        reason = (lines or ["pip gave no reason"])[0].removeprefix("ERROR: ")
        raise ThirdPartyMissing(f"cannot fetch Monocypher's sources: {reason}", hint=_HINT)
    return found[0]


_HINT = "run `python -m flota.toolchain --fetch` once with network access; afterwards no network is needed"


def _keep(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive) as content:
            for member in content:
                path = Path(member.name)
                stream = content.extractfile(member) if len(path.parts) == 2 and path.name in FILES else None
                if stream is not None:
                    write_atomic(folder / path.name, stream.read())
    except tarfile.TarError as error:
        raise ThirdPartyMissing(f"{archive.name} is not an archive: {error}") from error
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ThirdPartyMissing(f"{archive.name} lacks {', '.join(missing)}", hint="pin another version")
