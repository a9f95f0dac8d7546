from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flota.boardlink.protocol import FACTORY_PAGE
from flota.image import (
    PAYLOAD_OFFSET,
    SIGNATURE_BYTES,
    UNSIGNED,
    ImageBadSignature,
    ImageError,
    ImageHeader,
    ImageTruncated,
    factory_page,
    parse_image,
    sign_image,
    verify_image,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
HEADER = ImageHeader("some-board", "B", 0x21500000, "motion", "1.2.3", 4, 100, 0, 2048, 2, 16, 64, 24, 4)
IMAGE = UNSIGNED + HEADER.pack() + bytes(range(100))


def test_the_header_survives() -> None:
    assert parse_image(IMAGE) == HEADER
    assert HEADER.image_bytes == len(IMAGE)


def test_a_signed_image_verifies_and_is_the_same_every_time() -> None:
    signed = sign_image(IMAGE, KEY)
    verify_image(signed, KEY.public_key())
    assert sign_image(signed, KEY) == signed
    assert signed[SIGNATURE_BYTES:] == IMAGE[SIGNATURE_BYTES:]


@pytest.mark.parametrize("offset", [0, 63, PAYLOAD_OFFSET, PAYLOAD_OFFSET + 99])
def test_a_changed_byte_is_found(offset: int) -> None:
    signed = bytearray(sign_image(IMAGE, KEY))
    signed[offset] ^= 1
    with pytest.raises(ImageBadSignature):
        verify_image(bytes(signed), KEY.public_key())


def test_unsigned_and_foreign_images_are_refused() -> None:
    with pytest.raises(ImageBadSignature, match="not signed"):
        verify_image(IMAGE, KEY.public_key())
    with pytest.raises(ImageBadSignature, match="another key"):
        verify_image(sign_image(IMAGE, Ed25519PrivateKey.generate()), KEY.public_key())


@pytest.mark.parametrize("image", [b"", IMAGE[:PAYLOAD_OFFSET], IMAGE[:-1], IMAGE + b"\0"])
def test_another_size_is_refused(image: bytes) -> None:
    with pytest.raises(ImageTruncated):
        parse_image(image)


@pytest.mark.parametrize("offset", range(SIGNATURE_BYTES, PAYLOAD_OFFSET))
def test_a_damaged_header_is_refused(offset: int) -> None:
    image = bytearray(IMAGE)
    image[offset] ^= 0x80
    with pytest.raises(ImageError):
        parse_image(bytes(image))


def test_a_name_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ImageError, match="model"):
        replace(HEADER, model="m" * 32).pack()
    with pytest.raises(ImageError, match="arena_bytes"):
        replace(HEADER, arena_bytes=1 << 32).pack()


def test_the_factory_page_holds_one_or_two_keys() -> None:
    keys = [Ed25519PrivateKey.generate().public_key() for _ in range(3)]
    page = FACTORY_PAGE.unpack(factory_page(keys[:2], board="b", serial="7"))
    assert page["public_keys"] == b"".join(key.public_bytes_raw() for key in keys[:2])
    assert (page["board"], page["serial"], page["key_count"]) == ("b", "7", 2)
    assert FACTORY_PAGE.unpack(factory_page(keys[0]))["key_count"] == 1
    with pytest.raises(ImageError):
        factory_page(keys)
    with pytest.raises(ImageError):
        factory_page([])
    with pytest.raises(ImageError, match="serial"):
        factory_page(keys[0], serial="s" * 32)
