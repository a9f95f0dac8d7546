"""Frames of the board link: COBS, CRC-32 and the header. The C twin is ``firmware/src/frame.c``.

COBS: S. Cheshire, M. Baker, «Consistent Overhead Byte Stuffing», IEEE/ACM Transactions on Networking 7(2), 1999.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import cast

from flota.boardlink.errors import GarbledFrame
from flota.boardlink.protocol import CRC_BYTES, FRAME_HEADER, MAX_BODY_BYTES, PROTOCOL_VERSION, FrameType

DELIMITER = b"\0"
_MAX_PLAIN_BYTES = FRAME_HEADER.size + MAX_BODY_BYTES + CRC_BYTES
MAX_ENCODED_BYTES = _MAX_PLAIN_BYTES + _MAX_PLAIN_BYTES // 254 + 1


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame without its envelope."""

    type: FrameType
    command: int
    request_id: int
    body: bytes = b""
    status: int = 0


def cobs_encode(data: bytes) -> bytes:
    """``data`` as bytes without a zero, at most one byte in 254 longer plus one."""
    out = bytearray()
    for block in data.split(b"\0"):
        position = 0
        while len(block) - position >= 254:
            out += b"\xff" + block[position : position + 254]
            position += 254
        out += bytes([len(block) - position + 1]) + block[position:]
    return bytes(out)


def cobs_decode(data: bytes) -> bytes:
    """What :func:`cobs_encode` was given.

    Raises:
        GarbledFrame: ``data`` is empty, holds a zero, or ends within a block.
    """
    out = bytearray()
    position = 0
    if not data or 0 in data:
        raise GarbledFrame("not COBS: empty, or a zero byte inside")
    while position < len(data):
        code = data[position]
        end = position + code
        if end > len(data):
            raise GarbledFrame("not COBS: a block is cut off")
        out += data[position + 1 : end]
        position = end
        if code < 0xFF and position < len(data):
            out.append(0)
    return bytes(out)


def encode_frame(frame: Frame) -> bytes:
    """The frame as it goes over the line, delimiters on both sides."""
    header = FRAME_HEADER.pack(
        {
            "version": PROTOCOL_VERSION,
            "type": frame.type,
            "command": frame.command,
            "status": frame.status,
            "request_id": frame.request_id,
            "reserved": 0,
        }
    )
    plain = header + frame.body
    return DELIMITER + cobs_encode(plain + zlib.crc32(plain).to_bytes(CRC_BYTES, "little")) + DELIMITER


def decode_frame(encoded: bytes) -> Frame:
    """The frame in the bytes between two delimiters.

    Raises:
        GarbledFrame: Not COBS, too short or too long, a wrong CRC, another protocol version or an unknown type.
    """
    if len(encoded) > MAX_ENCODED_BYTES:
        raise GarbledFrame(f"a frame of {len(encoded)} bytes is too long")
    plain = cobs_decode(encoded)
    if len(plain) < FRAME_HEADER.size + CRC_BYTES:
        raise GarbledFrame(f"a frame of {len(plain)} bytes is too short")
    content, crc = plain[:-CRC_BYTES], int.from_bytes(plain[-CRC_BYTES:], "little")
    if zlib.crc32(content) != crc:
        raise GarbledFrame("a frame's CRC is wrong")
    values = {name: cast("int", value) for name, value in FRAME_HEADER.unpack(content).items()}
    if values["version"] != PROTOCOL_VERSION:
        raise GarbledFrame(f"protocol version {values['version']}, this flota speaks {PROTOCOL_VERSION}")
    if values["type"] not in tuple(FrameType):
        raise GarbledFrame(f"unknown frame type {values['type']}")
    body = content[FRAME_HEADER.size :]
    return Frame(FrameType(values["type"]), values["command"], values["request_id"], body, values["status"])
