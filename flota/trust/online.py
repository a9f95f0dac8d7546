"""The server's side of TUF: it keeps what the publisher signed and signs snapshot and timestamp over it.

Folder::

    keys/snapshot.pem, timestamp.pem, director-N.pem     online keys (0600); the highest N is the newest director key
    metadata/N.root.json, N.targets.json, N.snapshot.json  never changed once named by a commit
    metadata/commit.json                                  the state clients see: versions, and the timestamp itself
    artifacts/<sha256>                                     every file a release ever listed

Publishing writes artifacts, roots, targets, snapshot and, last, ``commit.json``: one atomic rename moves every client
from the old state to the new one, also when the new root changes the keys of the other roles. A process killed before
that rename leaves files no client is shown; the same upload made again overwrites them.

Offline keys never come here. What the publisher sends is checked as a client would check it: signature thresholds
against the current root, versions that only grow, expiry, and size and digest of every file listed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from flota.errors import StorageError
from flota.files import sha256_hex, sweep_leftovers, write_atomic
from flota.trust import intake
from flota.trust.artifacts import ArtifactStore
from flota.trust.config import LIFETIMES, LIMITS, Lifetimes, Limits
from flota.trust.errors import (
    KeyFileError,
    MetadataGarbled,
    NoRepository,
    NotFound,
    UnknownTarget,
)
from flota.trust.keys import PublicKey, ServerKeys, create_signer, load_signer, parse_director
from flota.trust.lock import folder_lock
from flota.trust.metadata import (
    DIRECTOR_PATH,
    SignedT,
    TargetInfo,
    expiry,
    half_over,
    parse_metadata,
)

_VERSIONED = re.compile(r"([1-9]\d{0,8})\.(root|targets|snapshot)\.json")
_PREFIXED = re.compile(r"(?P<folder>(?:.*/)?)(?P<sha256>[0-9a-f]{64})\.(?P<name>[^/]+)")
_DIRECTOR_KEY = re.compile(r"director-([1-9]\d*)\.pem")


class _Commit(BaseModel):
    """What clients see. ``timestamp_json`` is served as ``timestamp.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: int
    targets: int
    snapshot: int
    timestamp: int
    timestamp_json: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The outcome of an upload: the targets version now published and the files that are new in it."""

    version: int
    new: tuple[TargetInfo, ...]


class OnlineRepository:
    """The repository in ``folder``; online keys are made when the folder is new.

    Safe to use from several threads and processes: whoever changes it holds a lock, and a reader sees one commit.
    ``now`` is always UTC seconds since the epoch, by default the clock's.

    Raises:
        KeyFileError: Metadata was published but its online keys are gone.
        StorageError: The folder cannot be written.
    """

    def __init__(self, folder: Path, *, lifetimes: Lifetimes = LIFETIMES, limits: Limits = LIMITS) -> None:
        self._folder = folder
        self._keys = folder / "keys"
        self._metadata = folder / "metadata"
        self._artifacts = ArtifactStore(folder / "artifacts")
        self._lifetimes = lifetimes
        self._limits = limits
        self._targets_cache: tuple[int, dict[str, TargetInfo]] = (0, {})
        self._prepare()

    # ---- what clients are shown

    def metadata(self, name: str) -> bytes:
        """The bytes of ``timestamp.json`` or ``N.<role>.json``.

        Raises:
            NotFound: No client may see such a file (yet).
        """
        match = _VERSIONED.fullmatch(name)
        commit = self._commit()
        if commit and name == "timestamp.json":
            return commit.timestamp_json.encode()
        if not commit or not match or int(match[1]) > int(getattr(commit, match[2])):
            raise NotFound(f"no metadata file {name!r}")
        try:
            return (self._metadata / name).read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"no metadata file {name!r}") from error

    def artifact(self, path: str) -> Path:
        """The file behind a target path, plain or with the digest before its name as TUF clients ask for it.

        The file's name is its SHA-256, so it serves as ETag; it never changes.

        Raises:
            UnknownTarget: No published release lists it.
        """
        targets = self._listed()
        match = _PREFIXED.fullmatch(path)
        if path in targets:
            return self._artifacts.path(targets[path].sha256)
        if match and match["folder"] + match["name"] in targets and self._artifacts.has(match["sha256"]):
            return self._artifacts.path(match["sha256"])
        raise UnknownTarget(f"no published release lists {path!r}")

    def root(self) -> bytes:
        """The newest published root metadata: what a device gets when it enrols.

        Raises:
            NoRepository: Nothing was published yet.
        """
        return self._read("root", self._published().root)

    def targets(self) -> list[TargetInfo]:
        """Every file of the published targets metadata, by path; empty while nothing is published."""
        return [info for _, info in sorted(self._listed().items())]

    def target(self, path: str) -> TargetInfo:
        """One published file.

        Raises:
            UnknownTarget: No published release lists it.
        """
        try:
            return self._listed()[path]
        except KeyError as error:
            raise UnknownTarget(f"no published release lists {path!r}") from error

    # ---- keys

    def server_keys(self) -> ServerKeys:
        """The public half of the online keys, for the publisher (``server-keys.json``)."""
        return ServerKeys(
            snapshot=PublicKey.of(self._signer("snapshot").public_key),
            timestamp=PublicKey.of(self._signer("timestamp").public_key),
            director=tuple(PublicKey.of(signer.public_key) for signer in self._directors()),
        )

    def director_signer(self) -> CryptoSigner:
        """The signer of assignments: the newest director key that the published release names.

        While nothing is published it is simply the newest one.

        Raises:
            ForeignKeys: The published release names none of our keys.
        """
        signers = self._directors()
        if DIRECTOR_PATH not in self._listed():
            return signers[0]
        known = {key.keyid for key in parse_director(self.artifact(DIRECTOR_PATH).read_bytes())}
        for signer in signers:
            if signer.public_key.keyid in known:
                return signer
        raise intake.foreign_keys("director")

    def rotate_director(self) -> ServerKeys:
        """Make a new director key. It signs from the moment a release names it; until then the old one does.

        Give the returned keys to ``flota release init --server-keys`` and publish; then call
        :meth:`retire_directors` once every device has refreshed.
        """
        with folder_lock(self._folder):
            create_signer(self._keys / f"director-{self._director_files()[0][0] + 1}.pem")
        return self.server_keys()

    def retire_directors(self) -> ServerKeys:
        """Delete every director key older than the one that signs now."""
        with folder_lock(self._folder):
            active = self.director_signer().public_key.keyid
            files = [path for _, path in self._director_files()]
            ids = [load_signer(path).public_key.keyid for path in files]
            for path in files[ids.index(active) + 1 :]:
                path.unlink()
        return self.server_keys()

    # ---- changes

    def accept(
        self, targets_json: bytes, root_json: bytes | None, files: Mapping[str, Path], *, now: float | None = None
    ) -> Accepted:
        """Publish targets metadata the publisher signed, with the files that are new in it.

        Sending what is published already changes nothing and succeeds, so an upload may be repeated.

        Args:
            targets_json: Signed targets metadata.
            root_json: The publisher's roots, oldest first, as a JSON array (or one root); needed for the first upload
                and after a key changed. Roots we have are skipped.
            files: Target path → uploaded file, wherever it lies. Extra files are ignored, known ones not needed.
            now: UTC seconds.

        Raises:
            BadSignature, Expired, Rollback, MetadataGarbled: The metadata must not be published.
            ForeignKeys: It names other online keys than ours.
            ReleaseChanged: It gives a published path other bytes.
            ArtifactMissing, ArtifactMismatch: A listed file is not there, or is another one.
            StorageError: The disk is full; clients still see the old state.
        """
        at = time.time() if now is None else now
        with folder_lock(self._folder):
            commit, old = self._commit(), self._listed()
            sweep_leftovers(self._metadata)
            self._artifacts.sweep(keep={info.sha256 for info in old.values()})
            chain = intake.root_chain(self._read("root", commit.root) if commit else None, root_json, self._limits, at)
            targets = self._checked(chain[-1].signed, commit, targets_json, at)
            listed = {path: TargetInfo.of(target) for path, target in targets.signed.targets.items()}
            intake.check_unchanged(old, listed)
            self._artifacts.add(list(listed.values()), files)
            self._check_director(listed)
            if commit is None or (chain[-1].signed.version, targets.signed.version) != (commit.root, commit.targets):
                self._publish(chain, targets.signed.version, targets_json, at)
        return Accepted(targets.signed.version, tuple(info for path, info in listed.items() if path not in old))

    def refresh(self, now: float | None = None) -> bool:
        """Sign a new timestamp (and snapshot) if half of its lifetime is over; call this every few minutes.

        Returns:
            Whether anything was signed; False also while nothing is published.
        """
        at = time.time() if now is None else now
        with folder_lock(self._folder):
            commit = self._commit()
            if commit is None:
                return False
            timestamp = self._parsed(Timestamp, commit.timestamp_json.encode())
            snapshot_json = self._read("snapshot", commit.snapshot)
            if half_over(self._parsed(Snapshot, snapshot_json), at, self._lifetimes.snapshot_days):
                self._sign(commit.root, commit.targets, self._read("targets", commit.targets), at)
            elif half_over(timestamp, at, self._lifetimes.timestamp_days):
                self._sign_timestamp(commit, snapshot_json, at)
            else:
                return False
        return True

    # ---- inside

    def _prepare(self) -> None:
        try:
            for folder in (self._keys, self._metadata, self._artifacts.folder):
                folder.mkdir(parents=True, exist_ok=True)
            self._keys.chmod(0o700)
        except OSError as error:
            raise StorageError(f"{self._folder}: {error.strerror or error}", hint="check its permissions") from error
        with folder_lock(self._folder):
            sweep_leftovers(self._keys)
            if self._commit() is None:
                for name in ("snapshot", "timestamp", "director-1"):
                    if not (self._keys / f"{name}.pem").exists():
                        create_signer(self._keys / f"{name}.pem")
        self.server_keys()

    def _commit(self) -> _Commit | None:
        path = self._metadata / "commit.json"
        try:
            return _Commit.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror or error}", hint="check its permissions") from error
        except ValidationError as error:
            raise MetadataGarbled(f"{path} is damaged", hint="restore the server's folder from its backup") from error

    def _published(self) -> _Commit:
        commit = self._commit()
        if commit is None:
            raise NoRepository("no release was published yet", hint="run `flota release publish`")
        return commit

    def _path(self, role: str, version: int) -> Path:
        return self._metadata / f"{version}.{role}.json"

    def _read(self, role: str, version: int) -> bytes:
        path = self._path(role, version)
        try:
            return path.read_bytes()
        except OSError as error:
            hint = "restore the server's folder from its backup"
            raise StorageError(f"{path}: {error.strerror or error}", hint=hint) from error

    def _parsed(self, kind: type[SignedT], data: bytes) -> SignedT:
        return parse_metadata(kind, data, limit_bytes=self._limits.targets_bytes).signed

    def _listed(self) -> dict[str, TargetInfo]:
        commit = self._commit()
        if commit is None:
            return {}
        if self._targets_cache[0] != commit.targets:
            targets = self._parsed(Targets, self._read("targets", commit.targets)).targets
            self._targets_cache = (commit.targets, {path: TargetInfo.of(target) for path, target in targets.items()})
        return self._targets_cache[1]

    def _checked(self, root: Root, commit: _Commit | None, targets_json: bytes, now: float) -> Metadata[Targets]:
        intake.check_online_keys(root, self.server_keys())
        targets = intake.checked_targets(root, targets_json, self._limits, now)
        if commit:
            intake.check_succession(self._read("targets", commit.targets), commit.targets, targets, targets_json)
        return targets

    def _check_director(self, listed: Mapping[str, TargetInfo]) -> None:
        if DIRECTOR_PATH not in listed:
            raise intake.foreign_keys("director")
        data = self._artifacts.path(listed[DIRECTOR_PATH].sha256).read_bytes()
        intake.check_director_keys(parse_director(data), self.server_keys())

    def _publish(self, chain: Sequence[Metadata[Root]], version: int, targets_json: bytes, now: float) -> None:
        last = self._commit()
        for root in chain:
            if last is None or root.signed.version > last.root:
                write_atomic(self._path("root", root.signed.version), root.to_bytes())
        write_atomic(self._path("targets", version), targets_json)
        self._sign(chain[-1].signed.version, version, targets_json, now)

    def _sign(self, root: int, targets: int, targets_json: bytes, now: float) -> None:
        """New snapshot and timestamp over ``targets_json``; the last write commits everything written before."""
        last = self._commit()
        snapshot = Snapshot(
            version=last.snapshot + 1 if last else 1,
            expires=expiry(now, self._lifetimes.snapshot_days),
            meta={"targets.json": _meta_file(targets, targets_json)},
        )
        data = self._signed(snapshot)
        write_atomic(self._path("snapshot", snapshot.version), data)
        version = last.timestamp if last else 0
        commit = _Commit(root=root, targets=targets, snapshot=snapshot.version, timestamp=version, timestamp_json="")
        self._sign_timestamp(commit, data, now)

    def _sign_timestamp(self, commit: _Commit, snapshot_json: bytes, now: float) -> None:
        timestamp = Timestamp(
            version=commit.timestamp + 1,
            expires=expiry(now, self._lifetimes.timestamp_days),
            snapshot_meta=_meta_file(commit.snapshot, snapshot_json),
        )
        change = {"timestamp": timestamp.version, "timestamp_json": self._signed(timestamp).decode()}
        write_atomic(self._metadata / "commit.json", commit.model_copy(update=change).model_dump_json().encode())

    def _signed(self, signed: SignedT) -> bytes:
        metadata = Metadata[SignedT](signed)
        metadata.sign(self._signer(signed.type))
        return metadata.to_bytes()

    def _signer(self, role: str) -> CryptoSigner:
        return load_signer(self._keys / f"{role}.pem")

    def _directors(self) -> list[CryptoSigner]:
        """Newest first."""
        return [load_signer(path) for _, path in self._director_files()]

    def _director_files(self) -> list[tuple[int, Path]]:
        matches = [(_DIRECTOR_KEY.fullmatch(path.name), path) for path in self._keys.iterdir()]
        found = sorted(((int(match[1]), path) for match, path in matches if match), reverse=True)
        if not found:
            raise KeyFileError(
                f"{self._keys} holds no director key", hint="restore the server's folder from its backup"
            )
        return found


def _meta_file(version: int, data: bytes) -> MetaFile:
    return MetaFile(version=version, length=len(data), hashes={"sha256": sha256_hex(data)})
