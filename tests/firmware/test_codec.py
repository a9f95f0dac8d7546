"""The firmware's codecs against Python's, on the same bytes."""

from __future__ import annotations

import hashlib
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flota.boardlink.errors import GarbledFrame
from flota.boardlink.frames import cobs_decode, cobs_encode
from flota.toolchain.cheader import wire_header

Codec = Callable[[str, bytes], str]
BYTES = st.binary(max_size=700) | st.lists(st.sampled_from([0, 1, 255]), max_size=600).map(bytes)
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(scope="module")
def codec(codec_program: Path) -> Iterator[Codec]:
    with subprocess.Popen([str(codec_program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(kind: str, data: bytes) -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{kind}{data.hex()}\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        yield ask
        process.stdin.close()


@SHARED
@given(BYTES)
def test_encoding_is_the_same(codec: Codec, data: bytes) -> None:
    assert codec("e", data) == (b"\0" + cobs_encode(data) + b"\0").hex()


@SHARED
@given(BYTES | BYTES.map(cobs_encode))
def test_decoding_is_the_same_and_so_are_the_refusals(codec: Codec, data: bytes) -> None:
    try:
        expected = cobs_decode(data).hex()
    except GarbledFrame:
        expected = "-"
    answer = codec("d", data)
    # The firmware never sees a zero inside a frame: it is the delimiter. As a block's code it is refused there too.
    assert answer == expected or 0 in data


@SHARED
@given(BYTES)
def test_digests_are_the_same(codec: Codec, data: bytes) -> None:
    assert codec("c", data) == f"{zlib.crc32(data):08x}"
    assert codec("s", data) == hashlib.sha512(data).hexdigest()


@pytest.mark.parametrize("size", [0, 1, 110, 111, 112, 113, 119, 120, 127, 128, 129, 239, 240, 241, 256, 5000])
def test_sha512_at_its_block_borders(codec: Codec, size: int) -> None:
    assert codec("s", bytes(range(256)) * 20)[:8] == hashlib.sha512(bytes(range(256)) * 20).hexdigest()[:8]
    assert codec("s", b"\xa5" * size) == hashlib.sha512(b"\xa5" * size).hexdigest()


def test_the_generated_header_is_plain_c_and_the_same_every_time() -> None:
    text = wire_header()
    assert text == wire_header()
    assert "#define FLOTA_PROTOCOL_VERSION 1u" in text
    assert "FLOTA_STATUS_IMAGE_UNDER_FLOOR = 38" in text
    assert "flota_image_header_t_has_128_bytes" in text
