from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from flota.boardlink import BoardLink
from flota.errors import ConfigError
from flota.toolchain import FirmwareBuild
from hil.boards import QemuBoard
from hil.boards.provision import provision_flash, read_public_key
from hil.errors import BoardFailed, FlashUnusable

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
OTHER = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32).public_key()


@pytest.mark.emulated
def test_a_provisioned_board_says_so(firmware: FirmwareBuild, tmp_path: Path) -> None:
    board = QemuBoard(flash=tmp_path / "flash.bin", firmware_elf=firmware.elf)
    with board:
        with BoardLink(board.port, timeout_s=20) as link:
            assert not link.info().provisioned
        with pytest.raises(BoardFailed, match="is on"):
            provision_flash(board, KEY)
        board.power_cut()
        provision_flash(board, KEY, serial="S-42")
        board.start()
        with BoardLink(board.port, timeout_s=20) as link:
            info = link.info()
            assert info.provisioned
            assert info.serial == "S-42"


def test_a_board_keeps_its_key(echo_elf: Path, tmp_path: Path) -> None:
    board = QemuBoard(flash=tmp_path / "flash.bin", firmware_elf=echo_elf)
    try:
        provision_flash(board, KEY)
        before = board.flash.read_bytes()
        provision_flash(board, KEY)
        with pytest.raises(FlashUnusable, match="another key"):
            provision_flash(board, OTHER)
        assert board.flash.read_bytes() == before
    finally:
        board.close()


def test_only_an_ed25519_key_is_taken(tmp_path: Path) -> None:
    good, curve, garbage = (tmp_path / name for name in ("good.pem", "curve.pem", "garbage.pem"))
    good.write_bytes(KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    other = generate_private_key(SECP256R1()).public_key()
    curve.write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    garbage.write_bytes(b"no key")
    assert read_public_key(good).public_bytes_raw() == KEY.public_bytes_raw()
    for path, words in ((curve, "not an Ed25519"), (garbage, "not a public key"), (tmp_path / "none", "No such file")):
        with pytest.raises(ConfigError, match=words):
            read_public_key(path)
