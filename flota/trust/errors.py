"""Every error of the trust folder. The codes travel to operators, so they never change."""

from __future__ import annotations

from flota.errors import FlotaError


class TrustError(FlotaError):
    """Base of all refusals and failures of the trust folder."""

    code = "trust.error"


class BadSignature(TrustError):
    """Too few valid signatures by the keys that may sign this."""

    code = "trust.bad-signature"


class Expired(TrustError):
    """Metadata is past its expiry: it is old, or someone holds newer metadata back (freeze attack)."""

    code = "trust.expired"


class Rollback(TrustError):
    """Metadata is older than metadata already trusted, or versions do not belong together."""

    code = "trust.rollback"


class MetadataMismatch(TrustError):
    """A metadata file is not the one that the metadata above it names (mix-and-match attack)."""

    code = "trust.mismatch"


class MetadataGarbled(TrustError):
    """Bytes that should be metadata cannot be read as such, or break a limit."""

    code = "trust.garbled"


class UnknownTarget(TrustError):
    """No trusted targets metadata lists this path."""

    code = "trust.unknown-target"


class ArtifactMismatch(TrustError):
    """A file's bytes are not the ones that signed metadata names."""

    code = "artifact.digest-mismatch"


class ArtifactMissing(TrustError):
    """Targets metadata lists a file that was not uploaded with it."""

    code = "artifact.missing"


class FetchFailed(TrustError):
    """The repository could not be reached or answered with an error; nothing is known about its honesty."""

    code = "trust.unavailable"


class NotFound(FetchFailed):
    """The repository has no such file (HTTP 404 or 403). Fetch functions raise it; TUF expects it for the next root."""

    code = "trust.not-found"


class NoRepository(TrustError):
    """Nothing was ever published to this repository."""

    code = "trust.no-release"


class ForeignKeys(TrustError):
    """The root or director metadata names other online keys than the ones this server holds."""

    code = "trust.foreign-keys"


class ReleaseChanged(TrustError):
    """A path that was already published shall get other bytes; releases never change."""

    code = "release.changed"


class KeyFileError(TrustError):
    """A key file is missing, unreadable, or not the kind of key that belongs there."""

    code = "trust.key-file"


class AssignmentError(TrustError):
    """Base of the refusals of an assignment."""

    code = "assignment.refused"


class AssignmentForged(AssignmentError):
    """No director key of ours signed this assignment."""

    code = "assignment.bad-signature"


class AssignmentMisdirected(AssignmentError):
    """The assignment is for another device."""

    code = "assignment.wrong-device"


class AssignmentExpired(AssignmentError):
    """The assignment is past its expiry."""

    code = "assignment.expired"


class AssignmentReplayed(AssignmentError):
    """The assignment is older than one the device already took."""

    code = "assignment.replayed"


class AssignmentGarbled(AssignmentError):
    """The bytes are not an assignment in a DSSE envelope."""

    code = "assignment.garbled"


class AssignmentUnreleased(AssignmentError):
    """The assignment names a bundle other than the one the release key signed under that path."""

    code = "assignment.unreleased"


class CertificateError(TrustError):
    """Base of the refusals and failures of the certificate authority."""

    code = "certificate.error"


class RequestRefused(CertificateError):
    """A certificate signing request is garbled, badly signed, for another name or with a key we do not accept."""

    code = "certificate.request-refused"
