"""Frames: the codec alone. tests/firmware/test_codec.py holds the firmware's against it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flota.boardlink.errors import GarbledFrame
from flota.boardlink.frames import MAX_ENCODED_BYTES, Frame, cobs_decode, cobs_encode, decode_frame, encode_frame
from flota.boardlink.protocol import MAX_BODY_BYTES, Command, FrameType, Status


@given(st.binary(max_size=1200))
def test_cobs_gives_back_what_it_was_given_and_holds_no_zero(data: bytes) -> None:
    encoded = cobs_encode(data)
    assert 0 not in encoded
    assert len(encoded) <= len(data) + len(data) // 254 + 1
    assert cobs_decode(encoded) == data


@pytest.mark.parametrize(
    ("data", "encoded"),
    [  # examples of the paper's rules
        (b"", b"\x01"),
        (b"\0", b"\x01\x01"),
        (b"\x11\x22\0\x33", b"\x03\x11\x22\x02\x33"),
        (bytes(range(1, 255)), b"\xff" + bytes(range(1, 255)) + b"\x01"),
        (bytes(range(1, 256)), b"\xff" + bytes(range(1, 255)) + b"\x02\xff"),
    ],
)
def test_cobs_examples(data: bytes, encoded: bytes) -> None:
    assert cobs_encode(data) == encoded


@given(
    st.sampled_from(Command),
    st.integers(0, 0xFFFF),
    st.binary(max_size=300),
    st.sampled_from(Status),
    st.sampled_from(FrameType),
)
def test_a_frame_survives_the_line(command: int, request_id: int, body: bytes, status: int, kind: FrameType) -> None:
    frame = Frame(kind, command, request_id, body, status)
    line = encode_frame(frame)
    assert line[0] == line[-1] == 0
    assert decode_frame(line[1:-1]) == frame


def test_the_longest_frame_fits() -> None:
    line = encode_frame(Frame(FrameType.REQUEST, Command.CHUNK, 1, b"\1" * MAX_BODY_BYTES))
    assert len(line) - 2 <= MAX_ENCODED_BYTES
    assert len(decode_frame(line[1:-1]).body) == MAX_BODY_BYTES


@given(st.binary(max_size=60), st.data())
def test_one_flipped_bit_is_always_found(body: bytes, data: st.DataObject) -> None:
    line = bytearray(encode_frame(Frame(FrameType.REQUEST, Command.CHUNK, 77, body))[1:-1])
    bit = data.draw(st.integers(0, len(line) * 8 - 1))
    line[bit // 8] ^= 1 << bit % 8
    with pytest.raises(GarbledFrame):
        decode_frame(bytes(line))


@given(st.binary(max_size=80))
def test_noise_is_a_garbled_frame_and_nothing_worse(noise: bytes) -> None:
    with pytest.raises(GarbledFrame):
        decode_frame(noise)
