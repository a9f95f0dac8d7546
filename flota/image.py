"""Microcontroller images: the header, the signature, and the factory page that holds the keys they are checked with.

An image is ``Ed25519 signature (64) || header || payload``; the signature covers everything after itself. The payload
is code and constants linked for one slot's address, followed by the golden inputs and outputs. The device verifies
all of it by itself (``firmware/src/image.c`` is the C twin of this module).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from flota.boardlink.protocol import FACTORY_MAGIC, FACTORY_PAGE, FACTORY_VERSION, MAX_PUBLIC_KEYS
from flota.boardlink.wire import Value, WireField, WireStruct
from flota.errors import FlotaError

Slot: TypeAlias = Literal["A", "B"]
SLOTS: tuple[Slot, Slot] = ("A", "B")

IMAGE_MAGIC = 0x49544C46  # "FLTI" in the file
HEADER_VERSION = 1
SIGNATURE_BYTES = 64
UNSIGNED = bytes(SIGNATURE_BYTES)
PAYLOAD_ALIGN = 16

IMAGE_HEADER = WireStruct(
    "flota_image_header_t",
    "Follows the signature. Offsets count from the first byte of the payload; sizes in bytes.",
    (
        WireField("magic", "u32", "IMAGE_MAGIC"),
        WireField("header_version", "u16", "HEADER_VERSION"),
        WireField("header_size", "u16", "of this record"),
        WireField("board", "char", "the only board this image is for", 32),
        WireField("slot", "u32", "the only slot it runs in: 0 = A, 1 = B"),
        WireField("load_address", "u32", "of the signature's first byte"),
        WireField("model", "char", "name of the model", 32),
        WireField("major", "u16", "version of the model"),
        WireField("minor", "u16", "version of the model"),
        WireField("patch", "u16", "version of the model"),
        WireField("reserved", "u16", "0"),
        WireField("security_counter", "u32", "refused when below the board's floor; raises it when confirmed"),
        WireField("payload_bytes", "u32", "everything after this header"),
        WireField("model_offset", "u32", "of the flota_model_t"),
        WireField("arena_bytes", "u32", "working memory the model needs"),
        WireField("golden_count", "u32", "golden cases, at least 1"),
        WireField("golden_inputs_offset", "u32", "all cases' inputs, one after the other"),
        WireField("golden_outputs_offset", "u32", "all cases' outputs, one after the other"),
        WireField("input_bytes", "u32", "of one case"),
        WireField("output_bytes", "u32", "of one case"),
        WireField("crc", "u32", "CRC-32 of the header before it"),
    ),
)
HEADER_BYTES = IMAGE_HEADER.size
PAYLOAD_OFFSET = SIGNATURE_BYTES + HEADER_BYTES


class ImageError(FlotaError):
    """The bytes are not an image that may run."""

    code = "image.format"


class ImageBadSignature(ImageError):
    """The signature does not fit the bytes and the key; or there is none yet."""

    code = "image.bad-signature"


class ImageTruncated(ImageError):
    """The image is shorter or longer than its header says."""

    code = "image.truncated"


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """The header of an image, checked. Offsets count from the payload; sizes in bytes."""

    board: str
    slot: Slot
    load_address: int
    model: str
    version: str
    security_counter: int
    payload_bytes: int
    model_offset: int
    arena_bytes: int
    golden_count: int
    golden_inputs_offset: int
    golden_outputs_offset: int
    input_bytes: int
    output_bytes: int

    @property
    def image_bytes(self) -> int:
        """Size of the whole image."""
        return PAYLOAD_OFFSET + self.payload_bytes

    def pack(self) -> bytes:
        """The header's bytes, CRC included.

        Raises:
            ImageError: A name is too long, or a number does not fit its field.
        """
        major, minor, patch = (int(part) for part in self.version.split("."))
        values: dict[str, Value] = {
            field.name: getattr(self, field.name) for field in IMAGE_HEADER.fields if hasattr(self, field.name)
        }
        values |= {"magic": IMAGE_MAGIC, "header_version": HEADER_VERSION, "header_size": HEADER_BYTES}
        values |= {"slot": SLOTS.index(self.slot), "major": major, "minor": minor, "patch": patch, "reserved": 0}
        try:
            body = IMAGE_HEADER.pack({**values, "crc": 0})[:-4]
        except ValueError as error:
            raise ImageError(f"image header: {error}", hint="use a shorter name or a smaller number") from error
        return body + zlib.crc32(body).to_bytes(4, "little")


def parse_image(image: bytes) -> ImageHeader:
    """The header of ``image``, after checking its form and size (not its signature: :func:`verify_image`).

    Raises:
        ImageTruncated: The image has another size than its header says.
        ImageError: Not an image, or of another header version.
    """
    if len(image) < PAYLOAD_OFFSET:
        raise ImageTruncated(f"an image has at least {PAYLOAD_OFFSET} bytes, this one {len(image)}", hint=_AGAIN)
    raw = image[SIGNATURE_BYTES:PAYLOAD_OFFSET]
    try:
        values = IMAGE_HEADER.unpack(raw)
    except ValueError as error:
        raise ImageError("these bytes are not an image", hint=_AGAIN) from error
    if values["magic"] != IMAGE_MAGIC or values["crc"] != zlib.crc32(raw[:-4]):
        raise ImageError("these bytes are not an image, or its header is damaged", hint=_AGAIN)
    if (values["header_version"], values["header_size"]) != (HEADER_VERSION, HEADER_BYTES):
        raise ImageError(f"image header version {values['header_version']!r} is not known", hint="update flota")
    header = _header(values)
    if header.image_bytes != len(image):
        message = f"the image has {len(image)} bytes, its header says {header.image_bytes}"
        raise ImageTruncated(message, hint=_AGAIN)
    return header


def sign_image(image: bytes, key: Ed25519PrivateKey) -> bytes:
    """``image`` with its signature replaced by one of ``key``; the same arguments give the same bytes.

    Raises:
        ImageError: The bytes are not an image.
    """
    parse_image(image)
    return key.sign(image[SIGNATURE_BYTES:]) + image[SIGNATURE_BYTES:]


def verify_image(image: bytes, key: Ed25519PublicKey) -> None:
    """Check the form, the size and the signature of ``image``.

    Raises:
        ImageBadSignature: ``key`` did not sign these bytes.
        ImageError: The bytes are not an image.
    """
    parse_image(image)
    try:
        key.verify(image[:SIGNATURE_BYTES], image[SIGNATURE_BYTES:])
    except InvalidSignature as error:
        signed = image[:SIGNATURE_BYTES] != UNSIGNED
        message = "the image was changed after it was signed, or signed by another key" if signed else "not signed yet"
        raise ImageBadSignature(message, hint="sign it with `flota release create`") from error


def factory_page(
    public_key: Ed25519PublicKey | Sequence[Ed25519PublicKey], *, board: str = "qemu-mps2-an386", serial: str = "1"
) -> bytes:
    """The factory page's bytes: which board this is, and whose images it runs.

    They belong at ``find_geometry(board).flash.layout.factory_offset`` of the flash; the rest of that sector is 0xFF.

    Args:
        public_key: The image key, or two while it is being rotated.
        board: Name of the board.
        serial: Serial number, at most 31 ASCII characters.

    Raises:
        ImageError: More than two keys, or a name that is too long.
    """
    keys = [public_key] if isinstance(public_key, Ed25519PublicKey) else list(public_key)
    if not 1 <= len(keys) <= MAX_PUBLIC_KEYS:
        raise ImageError(f"a factory page holds 1 to {MAX_PUBLIC_KEYS} keys, not {len(keys)}")
    raw = b"".join(key.public_bytes_raw() for key in keys).ljust(32 * MAX_PUBLIC_KEYS, b"\0")
    values: dict[str, Value] = {"magic": FACTORY_MAGIC, "version": FACTORY_VERSION, "key_count": len(keys)}
    try:
        page = FACTORY_PAGE.pack({**values, "board": board, "serial": serial, "public_keys": raw, "crc": 0})[:-4]
    except ValueError as error:
        raise ImageError(f"factory page: {error}", hint="use at most 31 ASCII characters") from error
    return page + zlib.crc32(page).to_bytes(4, "little")


_AGAIN = "make the image again with `flota optimize`"


def _header(values: dict[str, Value]) -> ImageHeader:
    if cast("int", values["slot"]) >= len(SLOTS):
        raise ImageError(f"image for an unknown slot {values['slot']!r}", hint=_AGAIN)
    plain = {name: values[name] for name in ImageHeader.__dataclass_fields__ if name in values}
    version = ".".join(str(values[part]) for part in ("major", "minor", "patch"))
    return ImageHeader(**{**plain, "slot": SLOTS[cast("int", values["slot"])], "version": version})  # type: ignore[arg-type]
