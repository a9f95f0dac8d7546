"""Payloads: what is encoded is decoded, and bytes from anyone else give one kind of error, quickly."""

from __future__ import annotations

import contextlib
import json
import math
import time
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from flota import messages
from flota.messages import (
    MAX_BATCH,
    MAX_MESSAGE_BYTES,
    Ack,
    Assignment,
    Command,
    Event,
    EventBatch,
    HealthLimits,
    MessageError,
    Reply,
    ReportedState,
    Result,
    Running,
    TelemetryBatch,
    TelemetryPoint,
    decode,
    encode,
)

COUNTERS = st.integers(0, (1 << 53) - 1)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(max_size=12)
DIGEST = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)

RUNNING = st.builds(
    Running, model=TEXT, version=TEXT, target=TEXT, sha256=TEXT, slot=st.sampled_from("AB"), since=FINITE
)
RESULT = st.builds(
    Result, counter=COUNTERS, version=TEXT, outcome=st.sampled_from(messages.Outcome), code=TEXT, at=FINITE
)
LIMITS = st.builds(
    HealthLimits,
    min_inferences=st.integers(1, 1 << 40),
    max_error_rate=st.floats(0, 1),
    max_latency_ms=st.none() | FINITE,
    max_latency_ratio=st.none() | FINITE,
)
MESSAGES = st.one_of(
    st.builds(
        Assignment,
        device=TEXT,
        counter=COUNTERS,
        issued_at=FINITE,
        expires_at=FINITE,
        model=TEXT,
        version=TEXT,
        target=TEXT,
        path=TEXT,
        sha256=DIGEST,
        size=st.integers(1, 1 << 50),
        rollout=TEXT,
        reason=st.sampled_from(["rollout", "rollback", "manual"]),
        probation_s=st.floats(0.001, 1e9),
        limits=LIMITS,
    ),
    st.builds(
        ReportedState,
        device=TEXT,
        seq=COUNTERS,
        at=FINITE,
        kind=st.sampled_from(messages.DeviceKind),
        phase=st.sampled_from(messages.Phase),
        targets=st.lists(TEXT, max_size=3).map(tuple),
        security_floor=st.integers(0, 1 << 32),
        running=st.none() | RUNNING,
        previous=st.none() | RUNNING,
        last_result=st.none() | RESULT,
    ),
    st.builds(
        TelemetryBatch,
        device=TEXT,
        points=st.lists(st.builds(TelemetryPoint, seq=COUNTERS, at=FINITE, name=TEXT, value=FINITE), max_size=4).map(
            tuple
        ),
    ),
    st.builds(
        EventBatch,
        device=TEXT,
        events=st.lists(
            st.builds(Event, seq=COUNTERS, at=FINITE, kind=st.sampled_from(messages.EventKind), detail=TEXT), max_size=4
        ).map(tuple),
    ),
    st.builds(Ack, telemetry=COUNTERS, events=COUNTERS),
    st.builds(Command, id=TEXT, name=st.sampled_from(["ping", "status", "self-test", "bench", "log"])),
    st.builds(
        Reply,
        id=TEXT,
        ok=st.booleans(),
        values=st.dictionaries(TEXT, TEXT | st.integers(-(1 << 62), 1 << 62) | FINITE | st.booleans(), max_size=4),
    ),
)
KINDS = [Assignment, ReportedState, TelemetryBatch, EventBatch, Ack, Command, Reply]


@given(MESSAGES)
def test_round_trip(message: Any) -> None:
    data = encode(message)
    again = decode(type(message), data)
    assert again == message
    assert json.loads(again.model_dump_json()) == json.loads(message.model_dump_json())
    assert encode(again) == data


@given(MESSAGES, st.data())
def test_cut_off_or_changed_bytes_give_a_message_or_a_message_error(message: Any, data: st.DataObject) -> None:
    encoded = bytearray(encode(message))
    position = data.draw(st.integers(0, len(encoded) - 1))
    encoded[position] ^= data.draw(st.integers(1, 255))
    _survives(type(message), bytes(encoded))
    with pytest.raises(MessageError):
        decode(type(message), bytes(encoded[:position]))


@given(st.sampled_from(KINDS), st.binary(max_size=300))
def test_arbitrary_bytes_give_a_message_or_a_message_error(kind: Any, data: bytes) -> None:
    _survives(kind, data)


CBOR_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary(max_size=8)
    | st.text(max_size=8)
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=4),
)


@given(st.sampled_from(KINDS), CBOR_VALUES)
def test_arbitrary_cbor_gives_a_message_or_a_message_error(kind: Any, value: Any) -> None:
    _survives(kind, cbor2.dumps(value, datetime_as_timestamp=True, timezone=__import__("datetime").timezone.utc))


def _survives(kind: Any, data: bytes) -> None:
    with contextlib.suppress(MessageError):
        assert isinstance(decode(kind, data), kind)


def test_what_is_too_large_is_neither_sent_nor_read() -> None:
    points = tuple(
        TelemetryPoint(seq=number, at=0.0, name="n" * 64, value=0.0, version="v" * 600) for number in range(MAX_BATCH)
    )
    with pytest.raises(MessageError) as caught:
        encode(TelemetryBatch(device="d", points=points))
    assert caught.value.hint
    with pytest.raises(MessageError, match="over"):
        decode(Ack, bytes(MAX_MESSAGE_BYTES + 1))


def test_too_many_points() -> None:
    point = {"seq": 1, "at": 0, "name": "n", "value": 0}
    data = cbor2.dumps({"device": "d", "points": [point] * (MAX_BATCH + 1)})
    with pytest.raises(MessageError, match="points"):
        decode(TelemetryBatch, data)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_must_be_one(value: float) -> None:
    with pytest.raises(ValidationError):
        TelemetryPoint(seq=1, at=0.0, name="latency", value=value)
    with pytest.raises(MessageError):
        decode(TelemetryPoint, cbor2.dumps({"seq": 1, "at": 0.0, "name": "latency", "value": value}))


@pytest.mark.parametrize("counter", [-1, 1 << 53, 1.5, "x", None])
def test_counters_have_a_range(counter: object) -> None:
    with pytest.raises(MessageError, match="telemetry"):
        decode(Ack, cbor2.dumps({"telemetry": counter}))


def test_a_newer_peer_may_say_more() -> None:
    assert decode(Ack, cbor2.dumps({"telemetry": 3, "events": 4, "news": [1]})) == Ack(telemetry=3, events=4)


def test_a_few_bytes_that_stand_for_gigabytes_are_refused_at_once() -> None:
    """CBOR's shared references (tags 28 and 29): thirty lists, each holding the one before it twice."""
    shared, reference = b"\xd8\x1c", b"\xd8\x1d"
    items = [shared + b"\x81\x61x"]
    items += [shared + b"\x82" + 2 * (reference + cbor2.dumps(number)) for number in range(30)]
    data = bytes([0x98, len(items)]) + b"".join(items)
    start = time.perf_counter()
    with pytest.raises(MessageError):
        decode(Ack, b"\xa1\x64news" + data)
    assert time.perf_counter() - start < 1.0


def test_a_value_that_holds_itself_is_refused() -> None:
    with pytest.raises(MessageError):
        decode(Ack, b"\xa1\x64news" + b"\xd8\x1c\x81\xd8\x1d\x00")


@pytest.mark.parametrize(
    "data", [b"\x81" * 100_000, b"\x9f" * 100_000, b"\xa1\x61a" * 50_000], ids=["list", "open", "map"]
)
def test_deep_nesting_is_refused(data: bytes) -> None:
    with pytest.raises(MessageError):
        decode(Ack, data)


def test_byte_strings_and_odd_keys_have_no_place() -> None:
    for value in ({"id": b"bytes", "name": "ping"}, {1: 2}, {"news": {None: 1}}, {"news": cbor2.CBORTag(4000, 1)}):
        with pytest.raises(MessageError):
            decode(Command, cbor2.dumps(value))


def test_commands_that_are_not_on_the_list() -> None:
    with pytest.raises(MessageError, match="name"):
        decode(Command, cbor2.dumps({"id": "1", "name": "shell"}))


def test_every_message_is_frozen_and_documented() -> None:
    for kind in vars(messages).values():
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.__module__ == messages.__name__:
            assert kind.model_config["frozen"]
            assert kind.__doc__ or kind.__name__.startswith("_")


def test_the_wire_form_is_plain_cbor() -> None:
    assert cbor2.loads(encode(Ack(telemetry=3, events=4))) == {"telemetry": 3, "events": 4}
    assert json.loads(Ack().model_dump_json()) == {"telemetry": 0, "events": 0}
