"""Durable writes and digests: the one place that knows how to put a file on disk safely."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from flota.errors import StorageError

_CHUNK_BYTES = 1 << 20
_LEFTOVER = ".tmp"
_DEVICES = (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace ``path`` by ``data`` so that a reader, or a reboot, sees the old bytes or the new ones.

    Temporary file in the same folder, fsync, ``os.replace``, fsync of the folder. The folder is created.

    Raises:
        StorageError: The disk is full, or the folder cannot be written; nothing of ``data`` is left behind.
    """
    with open_atomic(path, mode=mode) as stream:
        stream.write(data)


@contextlib.contextmanager
def open_atomic(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A stream whose bytes replace ``path`` when the block ends, as :func:`write_atomic` does; for large files.

    If the block raises, ``path`` keeps what it had and nothing is left behind. A device or a pipe (``/dev/stdout``) is
    written as it stands: replacing it would take it away from everyone.

    Raises:
        StorageError: As :func:`write_atomic`.
    """
    if _is_device(path):
        with _open_device(path) as stream:
            yield stream
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:200]}.", suffix=_LEFTOVER)
    except OSError as error:
        raise _storage_error(path, error) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
        sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        if isinstance(error, OSError):
            raise _storage_error(path, error) from error
        raise


def _is_device(path: Path) -> bool:
    """Whether ``path`` names what must not be replaced, by itself or by a link that ends in a process's open file."""
    if path.absolute().parent in _DEVICES:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:  # there is nothing; whether there may be is the writer's to find out
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


@contextlib.contextmanager
def _open_device(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("ab") as stream:
            yield stream
    except OSError as error:
        raise _storage_error(path, error) from error


def sweep_leftovers(folder: Path) -> None:
    """Delete the temporary files that writers killed in the middle left in ``folder``.

    Call it only while nobody writes there: at start-up, or under the folder's lock.
    """
    for path in folder.glob(f".*{_LEFTOVER}"):
        with contextlib.suppress(OSError):
            path.unlink()


def shown_name(name: str) -> str:
    """A file's or tensor's name as text that fits one line and any encoding of Unicode.

    Control characters, line ends and the bytes of a name that is no UTF-8 become replacement characters.
    """
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable (a rename is not, until its folder is synced)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_hex(data: bytes) -> str:
    """SHA-256 of ``data`` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file as 64 lower-case hex digits, read in 1 MiB pieces.

    Raises:
        StorageError: The file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while piece := stream.read(_CHUNK_BYTES):
                digest.update(piece)
    except OSError as error:
        raise _storage_error(path, error) from error
    return digest.hexdigest()


def _storage_error(path: Path, error: OSError) -> StorageError:
    reason = error.strerror or str(error)
    return StorageError(f"{path}: {reason}", hint="check free space and permissions of that folder, then run again")
