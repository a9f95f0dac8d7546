"""Assignments in DSSE envelopes: signed by the server's director key, checked by the device.

The envelope is DSSE (https://github.com/secure-systems-lab/dsse, JSON form) as securesystemslib implements it; its
payload is the JSON of :class:`flota.messages.Assignment`. DSSE's JSON is malleable (white space, unused base64
bits), so the device accepts only the one form :func:`sign_assignment` writes: any changed byte is refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import ValidationError
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import Key, Signer

from flota.messages import Assignment
from flota.trust.config import LIMITS
from flota.trust.errors import (
    AssignmentExpired,
    AssignmentForged,
    AssignmentGarbled,
    AssignmentMisdirected,
    AssignmentReplayed,
)

PAYLOAD_TYPE = "application/vnd.flota.assignment+json"


def sign_assignment(assignment: Assignment, signer: Signer) -> bytes:
    """The assignment in an envelope signed by ``signer``, as it travels on the ``assign`` topic."""
    envelope = Envelope(assignment.model_dump_json().encode(), PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return _to_bytes(envelope)


def signed_assignment(data: bytes) -> Assignment:
    """The assignment in an envelope of our own making, unverified: for the director itself, never for a device.

    Raises:
        AssignmentGarbled: It is no envelope of ours.
    """
    return _assignment(_parse(data).payload)


def verify_assignment(data: bytes, keys: Sequence[Key], *, device: str, last_counter: int, now: float) -> Assignment:
    """The assignment in ``data``, if one of the director ``keys`` signed it for ``device`` and it is current.

    The counter may equal ``last_counter``: the broker delivers the retained assignment again after every reconnect.

    Args:
        data: The envelope's bytes, untrusted.
        keys: The director keys of trusted targets metadata.
        device: Our own name.
        last_counter: The highest counter this device took, 0 when none.
        now: UTC seconds since the epoch.

    Raises:
        AssignmentGarbled, AssignmentForged, AssignmentMisdirected, AssignmentExpired, AssignmentReplayed: In the
            order in which they are checked; nothing of a forged envelope's payload is interpreted.
    """
    envelope = _parse(data)
    _check_signature(envelope, keys)
    assignment = _assignment(envelope.payload)
    if assignment.device != device:
        raise AssignmentMisdirected(f"assignment is for {assignment.device!r}, this device is {device!r}")
    if now >= assignment.expires_at:
        raise AssignmentExpired(f"assignment {assignment.counter} expired {now - assignment.expires_at:.0f} s ago")
    if assignment.counter < last_counter:
        raise AssignmentReplayed(f"assignment {assignment.counter} is older than {last_counter}, taken before")
    return assignment


def _to_bytes(envelope: Envelope) -> bytes:
    return json.dumps(envelope.to_dict(), sort_keys=True, separators=(",", ":")).encode()


def _parse(data: bytes) -> Envelope:
    if len(data) > LIMITS.envelope_bytes:
        raise AssignmentGarbled(f"assignment of {len(data)} bytes is over {LIMITS.envelope_bytes}")
    try:
        envelope = Envelope.from_dict(json.loads(data))
        canonical = _to_bytes(envelope)
    except Exception as error:  # hostile bytes raise many kinds (Key, Type, Recursion, Unicode errors); all mean this
        raise AssignmentGarbled(f"assignment is not a DSSE envelope ({type(error).__name__})") from error
    if canonical != data or envelope.payload_type != PAYLOAD_TYPE:
        raise AssignmentGarbled("assignment is not an envelope in the form the director writes")
    return envelope


def _check_signature(envelope: Envelope, keys: Sequence[Key]) -> None:
    if not keys:
        raise AssignmentForged(
            "no director key is known", hint="publish a release that names the server's director key"
        )
    try:
        envelope.verify(list(keys), threshold=1)
    except VerificationError as error:
        raise AssignmentForged("assignment is not signed by a director key of this fleet") from error


def _assignment(payload: bytes) -> Assignment:
    try:
        return Assignment.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise AssignmentGarbled(f"assignment: {where}: {first['msg']}") from error
