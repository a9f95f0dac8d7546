"""Artifacts by digest: a file's name is its SHA-256, so it never changes and a copy is checked while it is written."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flota.errors import StorageError
from flota.files import open_atomic
from flota.trust.errors import ArtifactMismatch, ArtifactMissing
from flota.trust.metadata import TargetInfo

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ArtifactStore:
    """A folder of files named by their digest."""

    folder: Path

    def path(self, sha256: str) -> Path:
        """Where the file with this digest is, or would be."""
        return self.folder / sha256

    def has(self, sha256: str) -> bool:
        """Whether the file is here; its bytes were checked when it came."""
        return self.path(sha256).is_file()

    def add(self, wanted: Sequence[TargetInfo], files: Mapping[str, Path]) -> None:
        """Copy the ``wanted`` files that are not here yet from ``files`` (target path → file), checking each.

        Raises:
            ArtifactMissing: A wanted file is neither here nor among ``files``.
            ArtifactMismatch: A file has another size or digest than wanted; it was not stored.
            StorageError: It cannot be read or written.
        """
        missing = [info for info in wanted if not self.has(info.sha256)]
        for info in missing:
            if info.path not in files:
                raise ArtifactMissing(f"{info.path} is listed but was not sent", hint="send every file that is new")
        for info in missing:
            self._copy(files[info.path], info)

    def sweep(self, keep: Collection[str]) -> None:
        """Delete every file whose digest is not in ``keep``: what refused or killed uploads left behind."""
        for path in self.folder.iterdir():
            if path.name not in keep:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _copy(self, source: Path, info: TargetInfo) -> None:
        digest, size = hashlib.sha256(), 0
        try:
            with source.open("rb") as reader, open_atomic(self.path(info.sha256)) as writer:
                while piece := reader.read(_CHUNK_BYTES):
                    digest.update(piece)
                    size += len(piece)
                    writer.write(piece)
                if size != info.size or digest.hexdigest() != info.sha256:
                    raise ArtifactMismatch(
                        f"{info.path}: the {size} bytes sent are not the {info.size} bytes that were signed",
                        hint="the upload was damaged or tampered with; nothing was published",
                    )
        except OSError as error:
            raise StorageError(f"{source}: {error.strerror or error}", hint="send the release again") from error
