"""The device's side of TUF: python-tuf's updater over any way to fetch bytes.

``fetch`` gets a path relative to the server's device API (``tuf/metadata/timestamp.json``,
``artifacts/director/<sha256>.director.json``), returns the body and raises :class:`flota.trust.errors.NotFound` for
HTTP 404 or 403. Whatever else it raises means «not reachable». It is given no credentials and trusted with nothing.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from securesystemslib.signer import Key
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from flota.errors import StorageError
from flota.files import sha256_file, sync_folder
from flota.messages import Assignment
from flota.trust.config import LIMITS, Limits
from flota.trust.errors import ArtifactMismatch, AssignmentUnreleased, MetadataGarbled, NotFound, UnknownTarget
from flota.trust.keys import parse_director
from flota.trust.metadata import DIRECTOR_PATH, TargetInfo, translated

METADATA_BASE = "tuf/metadata/"
ARTIFACTS_BASE = "artifacts/"

Fetch = Callable[[str], bytes]


class TrustedClient:
    """Trusted metadata on disk and the targets it lists. One instance per folder; synchronous.

    Args:
        metadata_dir: Where trusted metadata is kept; it is what rollback protection rests on, so never delete it.
        root_bytes: The root metadata of enrolment; newer roots are found through it.
        fetch: See the module's text.
        limits: Upper bounds on what is downloaded.

    Raises:
        MetadataGarbled, BadSignature: ``root_bytes`` is not a root signed by itself.
        StorageError: The folder cannot be written.
    """

    def __init__(self, metadata_dir: Path, root_bytes: bytes, fetch: Fetch, *, limits: Limits = LIMITS) -> None:
        self._folder = metadata_dir
        self._root = root_bytes
        self._fetcher = _Fetcher(fetch)
        self._limits = limits
        self._updater: Updater | None = None
        self._director: tuple[str, list[Key]] | None = None
        self._open()

    def refresh(self) -> None:
        """Bring the metadata up to date; on return the new state is on disk, durably.

        Raises:
            BadSignature, Expired, Rollback, MetadataMismatch, MetadataGarbled: The repository shows something that
                must not be trusted; what was trusted before stays.
            FetchFailed: It cannot be reached.
            StorageError: The folder cannot be written.
        """
        updater = self._open()
        try:
            with translated():
                updater.refresh()
            _sync(self._folder)
        except OSError as error:
            raise _storage_error(self._folder, error) from error
        self._updater = updater

    def target(self, path: str) -> TargetInfo:
        """What the release key signed under ``path``; refreshes first if that was never done.

        Raises:
            UnknownTarget: Nothing.
            TrustError: As :meth:`refresh`.
        """
        with translated():
            found = self._ready().get_targetinfo(path)
        if found is None:
            raise UnknownTarget(f"no signed release lists {path!r}", hint="publish it with `flota release publish`")
        return TargetInfo.of(found)

    def director_keys(self) -> list[Key]:
        """The keys that may sign assignments, newest first; downloaded again only when they changed.

        Raises:
            UnknownTarget: No release names director keys yet.
            TrustError: As :meth:`refresh`.
        """
        info = self.target(DIRECTOR_PATH)
        if self._director is None or self._director[0] != info.sha256:
            self._director = (info.sha256, parse_director(self._download(info)))
        return list(self._director[1])

    def _ready(self) -> Updater:
        if self._updater is None:
            self.refresh()
        assert self._updater is not None
        return self._updater

    def _download(self, info: TargetInfo) -> bytes:
        if info.size > self._limits.director_bytes:
            raise MetadataGarbled(f"{info.path} of {info.size} bytes is over {self._limits.director_bytes}")
        updater = self._ready()
        found = updater.get_targetinfo(info.path)
        assert found is not None
        with tempfile.TemporaryDirectory(dir=self._folder) as folder, translated():
            return Path(updater.download_target(found, str(Path(folder, "target")))).read_bytes()

    def _open(self) -> Updater:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with translated():
                return Updater(
                    metadata_dir=str(self._folder),
                    metadata_base_url=METADATA_BASE,
                    target_base_url=ARTIFACTS_BASE,
                    fetcher=self._fetcher,
                    config=self._limits.updater_config(),
                    bootstrap=self._root,
                )
        except OSError as error:
            raise _storage_error(self._folder, error) from error


def check_artifact(file: Path, info: TargetInfo) -> None:
    """Check a downloaded file against signed metadata.

    Raises:
        ArtifactMismatch: Another size or digest.
        StorageError: The file cannot be read.
    """
    try:
        size = file.stat().st_size
    except OSError as error:
        raise _storage_error(file, error) from error
    if size != info.size or sha256_file(file) != info.sha256:
        raise ArtifactMismatch(
            f"{info.path}: the {size} bytes received are not the {info.size} bytes that were signed",
            hint="the download was damaged or tampered with; nothing was installed",
        )


def check_released(assignment: Assignment, info: TargetInfo) -> None:
    """Check that an assignment asks for exactly what the release key signed: a director cannot mix and match.

    Raises:
        AssignmentUnreleased: Path, digest, size, model, version or target differ.
    """
    custom = info.custom
    asked = (assignment.path, assignment.sha256, assignment.size)
    named = (assignment.model, assignment.version, assignment.target)
    if custom is None or asked != (info.path, info.sha256, info.size):
        raise AssignmentUnreleased(f"assignment {assignment.counter} names other bytes than the release {info.path}")
    if named != (custom.model, custom.version, custom.target):
        raise AssignmentUnreleased(f"assignment {assignment.counter} calls {info.path} {' '.join(named)}")


class _Fetcher(FetcherInterface):
    """python-tuf's fetcher over a plain function."""

    def __init__(self, fetch: Fetch) -> None:
        self._function = fetch

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            return iter((self._function(url),))
        except NotFound as error:
            raise DownloadHTTPError(f"{url}: not found", 404) from error


def _sync(folder: Path) -> None:
    """The updater renames without fsync; a power cut must not take rollback protection away."""
    for path in folder.rglob("*.json"):
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    for inner in (folder, folder / "root_history"):
        sync_folder(inner)


def _storage_error(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path}: {error.strerror or error}", hint="check free space and permissions of that folder")
