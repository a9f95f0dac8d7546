"""Assignments: only the director's own bytes, for this device, in time and in order are taken."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

from flota.errors import FlotaError
from flota.messages import Assignment, HealthLimits
from flota.trust.config import LIMITS
from flota.trust.envelope import PAYLOAD_TYPE, sign_assignment, verify_assignment
from flota.trust.errors import (
    AssignmentError,
    AssignmentExpired,
    AssignmentForged,
    AssignmentGarbled,
    AssignmentMisdirected,
    AssignmentReplayed,
)

DIRECTOR = CryptoSigner.generate_ed25519()
STRANGER = CryptoSigner.generate_ed25519()


def _assignment(**changes: object) -> Assignment:
    fields: dict[str, object] = {
        "device": "press-07",
        "counter": 5,
        "issued_at": 1000.0,
        "expires_at": 2000.0,
        "model": "motion",
        "version": "1.1.0",
        "target": "linux-litert",
        "path": "motion/1.1.0/motion-1.1.0-linux-litert.flota",
        "sha256": "ab" * 32,
        "size": 10240,
        "rollout": "r-1",
        "limits": HealthLimits(max_latency_ratio=2.0),
    }
    return Assignment.model_validate({**fields, **changes})


def _verify(data: bytes, **changes: object) -> Assignment:
    arguments: dict[str, object] = {"device": "press-07", "last_counter": 4, "now": 1500.0, **changes}
    return verify_assignment(data, [DIRECTOR.public_key], **arguments)  # type: ignore[arg-type]


SIGNED = sign_assignment(_assignment(), DIRECTOR)


@given(
    st.builds(
        _assignment,
        counter=st.integers(4, (1 << 53) - 1),
        model=st.text(max_size=20),
        size=st.integers(1, 1 << 40),
        reason=st.sampled_from(["rollout", "rollback", "manual"]),
        probation_s=st.floats(0.1, 1e6),
        expires_at=st.floats(1501, 1e10),
    )
)
def test_what_is_signed_is_what_is_verified(assignment: Assignment) -> None:
    assert _verify(sign_assignment(assignment, DIRECTOR)) == assignment


def test_same_assignment_gives_same_bytes() -> None:
    assert sign_assignment(_assignment(), DIRECTOR) == SIGNED


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(position: int, mask: int) -> None:
    data = bytearray(SIGNED)
    data[position] ^= mask
    with pytest.raises(AssignmentError):
        _verify(bytes(data))


@given(st.integers(0, len(SIGNED)), st.integers(0, len(SIGNED)))
def test_any_removed_piece_is_refused(first: int, last: int) -> None:
    data = SIGNED[:first] + SIGNED[last:]
    if data != SIGNED:
        with pytest.raises(AssignmentError):
            _verify(data)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_garbled(data: bytes) -> None:
    with pytest.raises(AssignmentGarbled):
        _verify(data)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["payload", "sig", "keyid", "x"]), inner)
    ),
    max_leaves=6,
)


@given(st.fixed_dictionaries({"payload": _JSON, "payloadType": _JSON, "signatures": _JSON}))
def test_arbitrary_json_in_the_right_fields_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(AssignmentError):
        _verify(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())


@pytest.mark.parametrize("text", ["[" * 60_000, '{"payload":' * 10_000, "1" * 60_000])
def test_deep_or_large_json_is_garbled(text: str) -> None:
    with pytest.raises(AssignmentGarbled):
        _verify(text.encode())


def test_too_large_is_garbled_before_it_is_parsed() -> None:
    with pytest.raises(AssignmentGarbled, match="over"):
        _verify(b" " * (LIMITS.envelope_bytes + 1))


def test_a_stranger_cannot_assign() -> None:
    with pytest.raises(AssignmentForged) as caught:
        _verify(sign_assignment(_assignment(), STRANGER))
    assert caught.value.code == "assignment.bad-signature"


def test_a_strangers_signature_under_the_directors_key_id_is_refused() -> None:
    document = json.loads(sign_assignment(_assignment(), STRANGER))
    document["signatures"][0]["keyid"] = DIRECTOR.public_key.keyid
    with pytest.raises(AssignmentForged):
        _verify(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())


def test_a_signature_of_the_wrong_length_is_refused() -> None:
    document = json.loads(SIGNED)
    document["signatures"][0]["sig"] = base64.standard_b64encode(b"short").decode()
    with pytest.raises(AssignmentForged):
        _verify(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())


def test_another_payload_type_is_refused_although_signed() -> None:
    envelope = Envelope(_assignment().model_dump_json().encode(), "text/plain", {})
    envelope.sign(DIRECTOR)
    with pytest.raises(AssignmentGarbled):
        _verify(json.dumps(envelope.to_dict(), sort_keys=True, separators=(",", ":")).encode())


def test_a_signed_payload_that_is_no_assignment_is_garbled() -> None:
    envelope = Envelope(b'{"device":"press-07"}', PAYLOAD_TYPE, {})
    envelope.sign(DIRECTOR)
    with pytest.raises(AssignmentGarbled):
        _verify(json.dumps(envelope.to_dict(), sort_keys=True, separators=(",", ":")).encode())


def test_the_same_statement_written_otherwise_is_refused() -> None:
    with pytest.raises(AssignmentGarbled):
        _verify(json.dumps(json.loads(SIGNED), indent=1).encode())


def test_without_known_keys_nothing_is_taken() -> None:
    with pytest.raises(AssignmentForged):
        verify_assignment(SIGNED, [], device="press-07", last_counter=0, now=1500.0)


def test_any_of_several_director_keys_will_do_during_a_rotation() -> None:
    keys = [STRANGER.public_key, DIRECTOR.public_key]
    assert verify_assignment(SIGNED, keys, device="press-07", last_counter=5, now=1500.0) == _assignment()


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"device": "press-08"}, AssignmentMisdirected, "assignment.wrong-device"),
        ({"now": 2000.0}, AssignmentExpired, "assignment.expired"),
        ({"last_counter": 6}, AssignmentReplayed, "assignment.replayed"),
    ],
)
def test_each_reason_has_its_code(changes: dict[str, object], error: type[FlotaError], code: str) -> None:
    with pytest.raises(error) as caught:
        _verify(SIGNED, **changes)
    assert caught.value.code == code


def test_the_retained_assignment_may_come_again() -> None:
    assert _verify(SIGNED, last_counter=5) == _assignment()
