"""The checks on what a publisher uploads: bytes in, verified metadata out, or an error. No I/O happens here.

They are the checks that python-tuf's client makes, and two of our own: the online keys named must be this server's,
and a published path keeps its bytes for ever.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from flota.trust.config import Limits
from flota.trust.errors import ForeignKeys, MetadataGarbled, NoRepository, ReleaseChanged, Rollback
from flota.trust.keys import ServerKeys
from flota.trust.metadata import DIRECTOR_PATH, TargetInfo, check_current, check_signed, parse_metadata

Listing = Mapping[str, TargetInfo]


def root_chain(current: bytes | None, upload: bytes | None, limits: Limits, now: float) -> list[Metadata[Root]]:
    """The trusted roots from the current one (or the first one ever) to the newest, in order; the first is current.

    Args:
        current: The root trusted now; None when there is none, and the first root uploaded is trusted as it is.
        upload: A root, or a JSON array of roots, oldest first; versions up to the current one are skipped.
        limits: Upper bounds on sizes and on the number of roots.
        now: UTC seconds.

    Raises:
        NoRepository: There is neither a current nor an uploaded root.
        BadSignature, Rollback, Expired, MetadataGarbled: As a client would refuse the chain.
    """
    uploaded = [parse_metadata(Root, data, limit_bytes=limits.root_bytes) for data in _documents(upload, limits)]
    chain = [parse_metadata(Root, current, limit_bytes=limits.root_bytes)] if current else uploaded[:1]
    if not chain:
        raise NoRepository("the first upload needs root metadata", hint="publish with `flota release publish`")
    check_signed(chain[0].signed, chain[0])
    for root in uploaded:
        if root.signed.version > chain[-1].signed.version:
            _check_next(chain[-1].signed, root)
            chain.append(root)
    check_current(chain[-1].signed, now)
    return chain


def check_online_keys(root: Root, ours: ServerKeys) -> None:
    """Check that ``root`` lets this server's keys, each alone, sign snapshot and timestamp.

    Raises:
        ForeignKeys: It does not; clients would refuse everything we sign.
    """
    for role, key in ((Snapshot.type, ours.snapshot), (Timestamp.type, ours.timestamp)):
        if key.keyid not in root.roles[role].keyids or root.roles[role].threshold != 1:
            raise foreign_keys(role)


def check_director_keys(named: Collection[Key], ours: ServerKeys) -> None:
    """Check that at least one director key of ours is among ``named``.

    Raises:
        ForeignKeys: Devices would refuse every assignment of ours.
    """
    if {key.keyid for key in named}.isdisjoint(key.keyid for key in ours.director):
        raise foreign_keys("director")


def foreign_keys(role: str) -> ForeignKeys:
    """The error for metadata made for another server."""
    return ForeignKeys(
        f"the release names another {role} key than this server's",
        hint="run `flota release init --server-keys FILE` with this server's file, then publish again",
    )


def checked_targets(root: Root, data: bytes, limits: Limits, now: float) -> Metadata[Targets]:
    """Targets metadata signed by the targets keys of ``root`` and not expired.

    Raises:
        BadSignature, Expired, MetadataGarbled: Otherwise; delegations are refused, too.
    """
    targets = parse_metadata(Targets, data, limit_bytes=limits.targets_bytes)
    check_signed(root, targets)
    check_current(targets.signed, now)
    if targets.signed.delegations is not None:
        raise MetadataGarbled("targets metadata delegates to other roles, which no Flota publisher does")
    return targets


def check_succession(old: bytes | None, old_version: int, new: Metadata[Targets], data: bytes) -> None:
    """Check that ``new`` may follow the published targets metadata.

    Raises:
        Rollback: Its version is older, or the same with other content.
    """
    version = new.signed.version
    if version < old_version or (version == old_version and data != old):
        raise Rollback(
            f"targets version {version} is not newer than the published {old_version}",
            hint="publish from the publisher folder that made the published release, or restore its newest backup",
        )


def check_unchanged(old: Listing, new: Listing) -> None:
    """Check that every bundle path listed before has the bytes it had.

    Raises:
        ReleaseChanged: One has not.
    """
    for path, info in new.items():
        if path != DIRECTOR_PATH and path in old and old[path].sha256 != info.sha256:
            raise ReleaseChanged(f"{path} was published with other bytes", hint="give the new model a new version")


def _check_next(root: Root, new: Metadata[Root]) -> None:
    if new.signed.version != root.version + 1:
        raise Rollback(
            f"root version {new.signed.version} cannot follow {root.version}", hint="send every root between"
        )
    check_signed(root, new)
    check_signed(new.signed, new)


def _documents(upload: bytes | None, limits: Limits) -> list[bytes]:
    """The single roots of an upload, each as the bytes its publisher wrote (TUF's own serialization)."""
    if not upload:
        return []
    if len(upload) > limits.root_bytes * limits.root_rotations:
        raise MetadataGarbled(f"root metadata of {len(upload)} bytes is too large")
    try:
        parsed = json.loads(upload)
    except (ValueError, RecursionError) as error:
        raise MetadataGarbled("root metadata is not JSON") from error
    if isinstance(parsed, dict):
        return [upload]
    if not isinstance(parsed, list) or len(parsed) > limits.root_rotations:
        raise MetadataGarbled("root metadata is neither a root nor a list of roots")
    return [json.dumps(root).encode() for root in parsed]
