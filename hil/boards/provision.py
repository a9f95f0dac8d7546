"""Manufacture: write the factory page, with the keys whose images the board accepts, into a new board's flash."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from flota.boardlink.geometry import find_geometry
from flota.errors import ConfigError, StorageError
from flota.image import factory_page
from hil.boards.qemu import QemuBoard
from hil.errors import BoardFailed, FlashUnusable


def read_public_key(path: Path) -> Ed25519PublicKey:
    """The Ed25519 public key in a PEM file.

    Raises:
        ConfigError: The file cannot be read, or holds another kind of key.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="name the publisher's public image key") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            f"{path}: not a public key in PEM form", hint="name the publisher's public image key"
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{path}: not an Ed25519 key", hint="name the publisher's public image key")
    return key


def provision_flash(board: QemuBoard, key: Ed25519PublicKey, *, serial: str = "1") -> None:
    """Write the factory page into the flash of a board that is off. A board with this very page is left as it is.

    Raises:
        BoardFailed: The board is on.
        FlashUnusable: The board was provisioned before, with another key or serial number.
        StorageError: The flash file cannot be written.
    """
    if board.running:
        raise BoardFailed(f"{board.resource.name} is on", hint="provision a board before it is started")
    name = board.resource.name
    page = factory_page(key, board=name, serial=serial)
    flash = find_geometry(name).flash
    sector = page.ljust(flash.sector_bytes, b"\xff")
    try:
        with board.flash.open("r+b") as stream:
            stream.seek(flash.layout.factory_offset)
            found = stream.read(flash.sector_bytes)
            if found not in (sector, b"\xff" * flash.sector_bytes):
                raise FlashUnusable(
                    f"{board.flash}: this board was provisioned with another key", hint="use a new flash file"
                )
            stream.seek(flash.layout.factory_offset)
            stream.write(sector)
    except OSError as error:
        raise StorageError(f"{board.flash}: {error.strerror}", hint="check the flash file's folder") from error
