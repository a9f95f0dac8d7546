"""What publisher, server and client share about TUF metadata: names, the custom fields of a target, checks.

The repository uses consistent snapshots: ``N.root.json``, ``N.targets.json``, ``N.snapshot.json`` never change once
written and ``timestamp.json`` alone moves, so a client that reads while a release is published sees the old state or
the new one. Artifacts are stored under their digest for the same reason.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from flota.trust.errors import (
    BadSignature,
    Expired,
    FetchFailed,
    MetadataGarbled,
    MetadataMismatch,
    Rollback,
    TrustError,
)

DIRECTOR_PATH = "director/director.json"

SignedT = TypeVar("SignedT", Root, Timestamp, Snapshot, Targets)


class TargetCustom(BaseModel):
    """The ``custom`` fields of a bundle in targets metadata: what the release key says this file is."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str
    version: str
    target: str
    bundle_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    security_floor: int = Field(default=0, ge=0)


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """One file that trusted targets metadata lists; ``custom`` is None for what is not a bundle. ``size`` in bytes."""

    path: str
    sha256: str
    size: int
    custom: TargetCustom | None

    @classmethod
    def of(cls, target: TargetFile) -> TargetInfo:
        """From python-tuf's object.

        Raises:
            MetadataGarbled: It has no SHA-256, or custom fields that are not ours.
        """
        sha256 = target.hashes.get("sha256", "")
        if len(sha256) != 64:
            raise MetadataGarbled(f"target {target.path!r} has no SHA-256")
        try:
            custom = TargetCustom.model_validate(target.custom) if target.custom else None
        except ValidationError as error:
            raise MetadataGarbled(f"target {target.path!r} has custom fields that are not ours") from error
        if custom and custom.bundle_sha256 != sha256:
            raise MetadataGarbled(f"target {target.path!r} names two digests")
        return cls(path=target.path, sha256=sha256, size=target.length, custom=custom)


def bundle_path(model: str, version: str, filename: str) -> str:
    """The TUF target path of a bundle: ``<model>/<version>/<filename>``."""
    return f"{model}/{version}/{filename}"


def target_file(path: str, sha256: str, size: int, custom: TargetCustom | None = None) -> TargetFile:
    """A target for targets metadata."""
    extra = {"custom": custom.model_dump()} if custom else None
    return TargetFile(size, {"sha256": sha256}, path, extra)


def parse_metadata(kind: type[SignedT], data: bytes, *, limit_bytes: int) -> Metadata[SignedT]:
    """Metadata of one role, not yet verified.

    Raises:
        MetadataGarbled: Too large, not metadata, or of another role.
    """
    if len(data) > limit_bytes:
        raise MetadataGarbled(f"{kind.type} metadata of {len(data)} bytes is over {limit_bytes}")
    try:
        metadata = Metadata[SignedT].from_bytes(data)
    except (DeserializationError, RecursionError) as error:
        raise MetadataGarbled(f"not {kind.type} metadata") from error
    if not isinstance(metadata.signed, kind):
        raise MetadataGarbled(f"{metadata.signed.type} metadata where {kind.type} was expected")
    return metadata


def check_signed(root: Root, metadata: Metadata[SignedT]) -> None:
    """Check the signature threshold of ``metadata`` against ``root``.

    Raises:
        BadSignature: Too few valid signatures.
    """
    with translated():
        root.verify_delegate(metadata.signed.type, metadata.signed_bytes, metadata.signatures)


def check_current(signed: Signed, now: float) -> None:
    """Check the expiry of ``signed`` at ``now`` (UTC seconds).

    Raises:
        Expired: It is over.
    """
    if signed.is_expired(moment(now)):
        raise Expired(f"{signed.type}.json expired on {signed.expires:%Y-%m-%d %H:%M} UTC")


def moment(now: float) -> datetime:
    """UTC seconds since the epoch as python-tuf's time."""
    return datetime.fromtimestamp(now, timezone.utc)


def expiry(now: float, days: int) -> datetime:
    """The end of a lifetime that starts now."""
    return moment(now) + timedelta(days=days)


def half_over(signed: Signed, now: float, days: int) -> bool:
    """Whether less than half of a lifetime of ``days`` is left."""
    return signed.expires - moment(now) < timedelta(days=days) / 2


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn python-tuf's exceptions into ours, each with its stable code."""
    try:
        yield
    except UnsignedMetadataError as error:
        raise BadSignature(str(error), hint="someone without the fleet's keys made this metadata") from error
    except ExpiredMetadataError as error:
        raise Expired(str(error), hint="check the device's clock, and that the server runs") from error
    except BadVersionNumberError as error:
        raise Rollback(str(error), hint="the repository shows an older state than before") from error
    except LengthOrHashMismatchError as error:
        raise MetadataMismatch(str(error), hint="fetch again; if it stays, the repository is inconsistent") from error
    except DeserializationError as error:
        raise MetadataGarbled(str(error) or "metadata cannot be read") from error
    except RepositoryError as error:
        raise MetadataMismatch(str(error)) from error
    except DownloadError as error:
        if isinstance(error.__cause__, TrustError):
            raise error.__cause__ from error
        reason = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
        raise FetchFailed(reason, hint="check the connection to the server") from error
