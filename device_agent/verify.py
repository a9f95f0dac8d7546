"""Is this file the released bundle, and one for this device? Every check, in one place, before an install."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from device_agent.errors import UnderFloor, Unsuitable
from flota import bundle as bundles
from flota.bundle import Bundle, BundleError
from flota.errors import FlotaError
from flota.messages import Assignment
from flota.trust.client import TrustedClient, check_artifact, check_released
from flota.trust.errors import FetchFailed, TrustError


def verify_bundle(
    trust: TrustedClient, assignment: Assignment, archive: Path, suits: Callable[[Bundle], None], floor: int
) -> int:
    """Check a downloaded bundle; returns the release's security floor. Blocks: it fetches metadata.

    Args:
        trust: The device's TUF client.
        assignment: What the director asks for.
        archive: The downloaded file.
        suits: Raises Unsuitable where the device cannot run the bundle.
        floor: The device's own floor; releases under it are refused.

    Raises:
        FetchFailed: The metadata cannot be reached; nothing is known about the file.
        TrustError, BundleError, Unsuitable: The file is refused.
        StorageError: It cannot be read.
    """
    trust.refresh()
    info = trust.target(assignment.path)
    check_released(assignment, info)
    check_artifact(archive, info)
    bundle = bundles.read(archive)
    manifest = bundle.manifest
    named = (manifest.model, manifest.version, manifest.target)
    if named != (assignment.model, assignment.version, assignment.target):
        raise Unsuitable(f"the bundle says it is {manifest.filename}, the release calls it {assignment.path}")
    suits(bundle)
    release_floor = info.custom.security_floor if info.custom else 0
    if release_floor < floor:
        raise UnderFloor(
            f"{manifest.model} {manifest.version} has security floor {release_floor}, this device is at {floor}",
            hint="a security fix raised the floor; roll out a release made after it",
        )
    return release_floor


def is_refusal(error: FlotaError) -> bool:
    """Whether an error speaks of what the bundle is; all others speak of what went wrong here."""
    if isinstance(error, (TrustError, BundleError, Unsuitable)):
        return not isinstance(error, FetchFailed)
    return error.code.startswith("image.")
