"""A model image, the very bytes that a board installs, as a bare engine."""

from __future__ import annotations

import struct

from flota.boardlink.geometry import FIRMWARE_FOLDER
from flota.image import PAYLOAD_OFFSET, ImageError, parse_image
from hil.bare.build import FOLDER, Engine, SourceFile

_ABI = 2  # of flota_model_t, which has its invoke at this offset
_INVOKE_OFFSET = 28
_WORD = struct.Struct("<I")


def image_engine(image: bytes) -> Engine:
    """An engine around ``image``, which is put at its slot's address; its ``invoke`` alone is counted.

    Raises:
        ImageError: It is no whole image.
    """
    header = parse_image(image)
    place = PAYLOAD_OFFSET + header.model_offset
    if place + _INVOKE_OFFSET + _WORD.size > len(image):
        raise ImageError("the image ends before its model", hint="make the image again")
    (abi,) = _WORD.unpack_from(image, place)
    if abi != _ABI:
        raise ImageError(
            f"the model in the image has ABI {abi}, this version knows {_ABI}", hint="make the image again"
        )
    (entry,) = _WORD.unpack_from(image, place + _INVOKE_OFFSET)
    numbers = {
        "BARE_MODEL_ADDRESS": f"{header.load_address + place:#x}u",
        "BARE_ARENA_BYTES": f"{max(1, header.arena_bytes)}u",
    }
    text = "".join(f"#define {name} {value}\n" for name, value in numbers.items())
    return Engine(
        name=f"image of {header.model}",
        sources=(SourceFile(FOLDER / "image_engine.c"),),
        files={"bare_image.h": text.encode()},
        include=(FIRMWARE_FOLDER / "include",),
        memory={header.load_address: image},
        entry=entry,
    )
