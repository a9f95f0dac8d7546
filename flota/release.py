"""The publisher: releases signed offline, in a folder that never meets the server.

Folder::

    keys/root.pem, targets.pem, image.pem       private keys (0600): keep a backup offline
    keys/image.pub.pem                          what a microcontroller is provisioned with
    repository/metadata/N.root.json             every root, signed by root.pem
    repository/metadata/targets.json            every bundle of every release, signed by targets.pem
    repository/targets/<path>                   the files it lists
    server-keys.json                            the online keys the root names

A file is in place before ``targets.json`` lists it, and ``targets.json`` is replaced atomically; a command that is
killed can simply be run again.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from securesystemslib.exceptions import UnverifiedSignatureError
from tuf.api.metadata import Metadata, Root, Targets

from flota import bundle
from flota.errors import StorageError, UsageError
from flota.files import sha256_hex, sweep_leftovers, write_atomic
from flota.image import PAYLOAD_OFFSET, SIGNATURE_BYTES, parse_image, sign_image
from flota.trust.client import check_artifact
from flota.trust.config import LIFETIMES, LIMITS
from flota.trust.errors import BadSignature, KeyFileError, NoRepository, ReleaseChanged, TrustError
from flota.trust.keys import ServerKeys, create_signer, director_document, load_private_key, load_signer, public_pem
from flota.trust.lock import folder_lock
from flota.trust.metadata import (
    DIRECTOR_PATH,
    SignedT,
    TargetCustom,
    TargetInfo,
    bundle_path,
    expiry,
    half_over,
    parse_metadata,
    target_file,
)

_PRIVATE_KEYS = ("root", "targets", "image")


class UnknownRelease(TrustError):
    """The publisher folder has no such release."""

    code = "release.unknown"


@dataclass(frozen=True, slots=True)
class Release:
    """A model version and its signed bundles, by path."""

    model: str
    version: str
    security_floor: int
    bundles: tuple[TargetInfo, ...]


@dataclass(frozen=True, slots=True)
class PublisherState:
    """What :func:`init_publisher` left. A version is 0 and an expiry (UTC seconds) 0.0 while there is no such metadata.

    Devices refuse everything once either has expired: run :func:`init_publisher` again and publish before that.
    """

    root_version: int
    root_expires_at: float
    targets_version: int
    targets_expires_at: float
    image_public_key: Path


class ReleaseUpload(Protocol):
    """Where a release is published to; ``flota.api.FleetClient`` is one."""

    def publish_release(self, targets_json: bytes, root_json: bytes | None, files: Mapping[str, Path]) -> object:
        """Send signed metadata and the files (target path → file) that are new in it."""
        ...


def init_publisher(folder: Path, server_keys: ServerKeys | None = None, *, now: float | None = None) -> PublisherState:
    """Make what is missing of a publisher folder; with ``server_keys``, sign a root for that server's online keys.

    Run it again with a new key file after the server rotated a key, and without one to renew what is about to expire.
    Private keys are never overwritten.

    Raises:
        KeyFileError: A key file is damaged, or some are gone while metadata signed by them exists.
        StorageError: The folder cannot be written.
    """
    at = time.time() if now is None else now
    with _writing(folder):
        _make_keys(folder)
        if server_keys is not None:
            write_atomic(folder / "server-keys.json", server_keys.to_bytes())
        elif (folder / "server-keys.json").exists():
            server_keys = ServerKeys.from_file(folder / "server-keys.json")
        if server_keys is not None:
            _update_root(folder, server_keys, at)
            _update_director(folder, server_keys, at)
    return publisher_state(folder)


def publisher_state(folder: Path) -> PublisherState:
    """What the publisher folder holds.

    Raises:
        NoRepository: It is not a publisher folder.
    """
    image_key = folder / "keys" / "image.pub.pem"
    if not image_key.exists():
        raise NoRepository(f"{folder} is not a publisher folder", hint="make one with `flota release init`")
    root = _parse(Root, _root_paths(folder)[-1]) if _root_paths(folder) else None
    targets = _parse(Targets, _targets_path(folder)) if _targets_path(folder).exists() else None
    return PublisherState(
        root_version=root.version if root else 0,
        root_expires_at=root.expires.timestamp() if root else 0.0,
        targets_version=targets.version if targets else 0,
        targets_expires_at=targets.expires.timestamp() if targets else 0.0,
        image_public_key=image_key,
    )


def add_release(
    folder: Path, bundles: Sequence[Path], *, security_floor: int | None = None, now: float | None = None
) -> Release:
    """Sign bundles of one model version into the repository.

    MCU images inside a bundle are signed with the image key, and the bundle is written anew around them, byte for byte
    the same each time. Adding the same bundles again changes nothing; adding another target to a release is allowed.

    Args:
        folder: The publisher folder.
        bundles: Bundle files, all of one model and version.
        security_floor: Devices that confirm this release refuse images with a lower counter from then on; None keeps
            what the bundles say.
        now: UTC seconds.

    Raises:
        UsageError: No bundle, bundles of several releases or floors.
        BundleError, BundleTampered: A file is not an intact bundle.
        ReleaseChanged: A path would get other bytes than it was signed with.
        NoRepository, KeyFileError, StorageError: The publisher folder is not usable.
    """
    at = time.time() if now is None else now
    publisher_state(folder)
    with _writing(folder):
        finished = [_finish(bundle.read(path), folder, security_floor) for path in bundles]
        model, version = _check_one_release(finished)
        listed = _listed(folder)
        added = {item.info.path: item for item in finished}
        if len(added) != len(finished):
            raise UsageError("the same bundle was given twice", hint="name each bundle once")
        _check_unchanged(listed, added)
        for path, item in added.items():
            write_atomic(_target_path(folder, path), item.data)
        _sign_targets(folder, {**listed, **{path: item.info for path, item in added.items()}}, at)
    return get_release(folder, model, version)


def list_releases(folder: Path) -> list[Release]:
    """Every release in the publisher folder, by model and version.

    Raises:
        NoRepository: It is not a publisher folder.
    """
    publisher_state(folder)
    groups: dict[tuple[str, str], list[TargetInfo]] = {}
    for info in _listed(folder).values():
        if info.custom:
            groups.setdefault((info.custom.model, info.custom.version), []).append(info)
    order = sorted(groups, key=lambda name: (name[0], bundle.parse_version(name[1])))
    return [_release(name, groups[name]) for name in order]


def get_release(folder: Path, model: str, version: str) -> Release:
    """One release.

    Raises:
        UnknownRelease: There is no such release.
        NoRepository: It is not a publisher folder.
    """
    for release in list_releases(folder):
        if (release.model, release.version) == (model, version):
            return release
    raise UnknownRelease(f"no release {model} {version} in {folder}", hint="`flota release list` shows what there is")


def publish(folder: Path, upload: ReleaseUpload, *, skip: Collection[str] = ()) -> int:
    """Send the signed metadata and the files to a server; returns the targets version published.

    Args:
        folder: The publisher folder.
        upload: Where to.
        skip: SHA-256 of files the server is known to have.

    Raises:
        NoRepository: Nothing is signed yet, or no server keys are known.
        FlotaError: What the upload raises.
    """
    state = publisher_state(folder)
    if not state.root_version:
        raise NoRepository(
            f"{folder} has no root metadata yet",
            hint="run `flota release init --server-keys FILE` with the file that `flota server init` wrote",
        )
    files = {path: _target_path(folder, path) for path, info in _listed(folder).items() if info.sha256 not in skip}
    for path, file in files.items():
        check_artifact(file, _listed(folder)[path])
    upload.publish_release(_targets_path(folder).read_bytes(), root_chain_json(folder), files)
    return state.targets_version


def root_chain_json(folder: Path) -> bytes:
    """Every signed root, oldest first, as the JSON array that the server takes."""
    return json.dumps([json.loads(path.read_bytes()) for path in _root_paths(folder)]).encode()


# ---- bundles


@dataclass(frozen=True, slots=True)
class _Finished:
    """A bundle as it will be published."""

    info: TargetInfo
    data: bytes


def _finish(source: bundle.Bundle, folder: Path, security_floor: int | None) -> _Finished:
    """The bundle with its floor set and its images signed."""
    manifest = source.manifest
    floor = manifest.security_floor if security_floor is None else security_floor
    files = dict(source.files)
    for path in [path for path in files if _is_image(path)]:
        files[path] = _signed_image(files[path], path, manifest, floor, folder)
    manifest = manifest.model_copy(update={"security_floor": floor, "files": bundle.file_entries(files)})
    data = bundle.pack(manifest, files)
    sha256 = sha256_hex(data)
    custom = TargetCustom(
        model=manifest.model,
        version=manifest.version,
        target=manifest.target,
        bundle_sha256=sha256,
        security_floor=floor,
    )
    path = bundle_path(manifest.model, manifest.version, manifest.filename)
    return _Finished(TargetInfo(path=path, sha256=sha256, size=len(data), custom=custom), data)


def _is_image(path: str) -> bool:
    return path.startswith("images/") and path.endswith(".img")


def _signed_image(image: bytes, path: str, manifest: bundle.Manifest, floor: int, folder: Path) -> bytes:
    """The image with its counter set to the release's floor and signed; ``path`` is ``images/<board>/<slot>.img``."""
    header = parse_image(image)
    built = (header.model, header.version, header.board, f"{header.slot.lower()}.img")
    named = (manifest.model, manifest.version, *path.split("/")[1:])
    if built != named:
        raise bundle.BundleError(
            f"{manifest.filename}: {path} was built as {'/'.join(built)}, not as {'/'.join(named)}",
            hint="make the bundle again with `flota optimize`",
        )
    counted = replace(header, security_counter=floor).pack() + image[PAYLOAD_OFFSET:]
    return sign_image(image[:SIGNATURE_BYTES] + counted, load_private_key(_key_path(folder, "image")))


def _check_one_release(finished: Sequence[_Finished]) -> tuple[str, str]:
    names = {(item.info.custom.model, item.info.custom.version) for item in finished if item.info.custom}
    floors = {item.info.custom.security_floor for item in finished if item.info.custom}
    if len(names) != 1:
        raise UsageError(
            f"bundles of one model and version make a release, {len(names)} were given",
            hint="name the bundles of one release, such as .flota/bundles/motion-1.0.0-*.flota",
        )
    if len(floors) != 1:
        raise UsageError("the bundles have different security floors", hint="set one with --security-floor")
    return names.pop()


def _check_unchanged(listed: Mapping[str, TargetInfo], added: Mapping[str, _Finished]) -> None:
    for path, item in added.items():
        if path in listed and listed[path].sha256 != item.info.sha256:
            raise ReleaseChanged(f"{path} is signed with other bytes already", hint="give the new model a new version")


def _release(name: tuple[str, str], bundles: Sequence[TargetInfo]) -> Release:
    floor = max(info.custom.security_floor for info in bundles if info.custom)
    ordered = tuple(sorted(bundles, key=lambda info: info.path))
    return Release(model=name[0], version=name[1], security_floor=floor, bundles=ordered)


# ---- keys and metadata


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Keep other publisher commands out of the folder, and clean up after one that was killed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror or error}", hint="check its permissions") from error
    with folder_lock(folder):
        for inner in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            sweep_leftovers(inner)
        yield


def _make_keys(folder: Path) -> None:
    signed = bool(_root_paths(folder)) or _targets_path(folder).exists()
    for name in _PRIVATE_KEYS:
        path = _key_path(folder, name)
        if path.exists():
            load_private_key(path)
        elif signed:
            raise KeyFileError(f"{path} is gone, and releases are signed with it", hint="restore it from its backup")
        else:
            create_signer(path)
    _restrict(folder / "keys")
    write_atomic(folder / "keys" / "image.pub.pem", public_pem(load_private_key(_key_path(folder, "image"))))


def _restrict(folder: Path) -> None:
    try:
        folder.chmod(0o700)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror or error}", hint="check its permissions") from error


def _update_root(folder: Path, server: ServerKeys, now: float) -> None:
    """Sign the next root if the keys or the expiry ask for one."""
    roots = _root_paths(folder)
    last = _parse(Root, roots[-1]) if roots else None
    root = _new_root(folder, server, now, version=last.version + 1 if last else 1)
    if last and last.roles == root.roles and not half_over(last, now, LIFETIMES.root_days):
        return
    metadata = Metadata[Root](root)
    metadata.sign(load_signer(_key_path(folder, "root")))
    write_atomic(_metadata_folder(folder) / f"{root.version}.root.json", metadata.to_bytes())


def _new_root(folder: Path, server: ServerKeys, now: float, *, version: int) -> Root:
    root = Root(version=version, expires=expiry(now, LIFETIMES.root_days), consistent_snapshot=True)
    root.add_key(load_signer(_key_path(folder, "root")).public_key, "root")
    root.add_key(load_signer(_key_path(folder, "targets")).public_key, "targets")
    root.add_key(server.snapshot.key(), "snapshot")
    root.add_key(server.timestamp.key(), "timestamp")
    return root


def _update_director(folder: Path, server: ServerKeys, now: float) -> None:
    data = director_document(server.director)
    info = TargetInfo(path=DIRECTOR_PATH, sha256=sha256_hex(data), size=len(data), custom=None)
    write_atomic(_target_path(folder, DIRECTOR_PATH), data)
    _sign_targets(folder, {**_listed(folder), DIRECTOR_PATH: info}, now)


def _sign_targets(folder: Path, listed: Mapping[str, TargetInfo], now: float) -> None:
    """Sign the next targets metadata if the list or the expiry asks for one."""
    path = _targets_path(folder)
    last = _parse(Targets, path) if path.exists() else None
    if last and dict(listed) == _listed(folder) and not half_over(last, now, LIFETIMES.targets_days):
        return
    targets = Targets(
        version=last.version + 1 if last else 1,
        expires=expiry(now, LIFETIMES.targets_days),
        targets={path: target_file(path, info.sha256, info.size, info.custom) for path, info in sorted(listed.items())},
    )
    metadata = Metadata[Targets](targets)
    metadata.sign(load_signer(_key_path(folder, "targets")))
    write_atomic(path, metadata.to_bytes())


def _listed(folder: Path) -> dict[str, TargetInfo]:
    path = _targets_path(folder)
    if not path.exists():
        return {}
    return {name: TargetInfo.of(target) for name, target in _parse(Targets, path).targets.items()}


def _parse(kind: type[SignedT], path: Path) -> SignedT:
    """Our own metadata, still checked: a damaged or foreign file must not be signed on top of."""
    try:
        metadata = parse_metadata(kind, path.read_bytes(), limit_bytes=LIMITS.targets_bytes)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}", hint="restore the publisher folder") from error
    key = load_signer(_key_path(path.parents[2], kind.type)).public_key
    try:
        key.verify_signature(metadata.signatures[key.keyid], metadata.signed_bytes)
    except (KeyError, UnverifiedSignatureError) as error:
        raise BadSignature(f"{path} is not signed by this folder's {kind.type} key") from error
    return metadata.signed


def _root_paths(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted(_metadata_folder(folder).glob("*.root.json"), key=lambda path: int(path.name.split(".")[0]))


def _metadata_folder(folder: Path) -> Path:
    return folder / "repository" / "metadata"


def _targets_path(folder: Path) -> Path:
    return _metadata_folder(folder) / "targets.json"


def _target_path(folder: Path, path: str) -> Path:
    return folder / "repository" / "targets" / path


def _key_path(folder: Path, name: str) -> Path:
    return folder / "keys" / f"{name}.pem"
