"""The simulated board (the core built for this machine) and images for it."""

from __future__ import annotations

import os
import struct
import subprocess
import tty
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flota.boardlink import BoardLink
from flota.image import PAYLOAD_OFFSET, UNSIGNED, ImageHeader, Slot, factory_page

FLASH_BYTES = 0x24000
SECTOR = 4096
SLOT_OFFSET: dict[Slot, int] = {"A": 4 * SECTOR, "B": 20 * SECTOR}
SLOT_BYTES = 16 * SECTOR
FLASH_BASE = 0x21000000
KEY = Ed25519PrivateKey.from_private_bytes(b"image key of the simulated board")
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"a key that the board has not got")
CASE = bytes(range(24))
ANSWER = bytes(value + 1 for value in CASE)

ADDS_ONE, CRASHES, HANGS, ADDS_TWO, FAILS, CRASHES_ON_EE, COUNTS, STARTS_OVER = range(8)


def header_of(slot: Slot, **changes: Any) -> ImageHeader:
    """A right header for :func:`make_image`'s payload, with ``changes``."""
    header = ImageHeader(
        board="host-simulator",
        slot=slot,
        load_address=FLASH_BASE + SLOT_OFFSET[slot],
        model="adder",
        version="1.0.0",
        security_counter=0,
        payload_bytes=0,
        model_offset=16,
        arena_bytes=256,
        golden_count=2,
        golden_inputs_offset=80,
        golden_outputs_offset=128,
        input_bytes=24,
        output_bytes=24,
    )
    return replace(header, **changes)


def make_payload(slot: Slot, behaviour: int = ADDS_ONE, *, size: int = 5000, **words: int) -> bytes:
    """A model as 32-bit code lays it out: behaviour at 0, flota_model_t at 16, tensors at 52, golden cases at 80.

    A model that COUNTS has one byte of state, which the code at 1 resets; its inputs lie behind 16 bytes for it.
    """
    base = FLASH_BASE + SLOT_OFFSET[slot] + PAYLOAD_OFFSET
    state, reset, first = (16, base + 1, 16) if behaviour == COUNTS else (0, 0, 0)
    model = {"abi": 2, "arena": 256, "state": state, "inputs": 2, "outputs": 1}
    model |= {"input_table": base + 52, "output_table": base + 68, "entry": base, "reset": reset} | words
    tensors = struct.pack("<6I", first, 16, first + 16, 8, 64, 24)
    head = bytes([behaviour, STARTS_OVER]).ljust(16, b"\0") + struct.pack("<9I", *model.values()) + tensors
    golden = CASE + bytes(24) + ANSWER + b"\1" * 24
    return (head.ljust(80, b"\0") + golden).ljust(size, b"\x5a")


def make_image(
    slot: Slot,
    behaviour: int = ADDS_ONE,
    *,
    key: Ed25519PrivateKey = KEY,
    payload: bytes | None = None,
    **changes: Any,
) -> bytes:
    """A signed image for the simulated board; ``changes`` are header fields."""
    payload = payload if payload is not None else make_payload(slot, behaviour)
    header = header_of(slot, **{"payload_bytes": len(payload), **changes})
    return sign_image_freely(UNSIGNED + header.pack() + payload, key)


def sign_image_freely(image: bytes, key: Ed25519PrivateKey) -> bytes:
    """Sign any bytes, also ones that ``sign_image`` would not."""
    return key.sign(image[64:]) + image[64:]


def blank_flash(*, provisioned: bool = True) -> bytes:
    """Erased flash, with a factory page if wanted."""
    page = factory_page(KEY.public_key(), board="host-simulator", serial="sim-1") if provisioned else b""
    return page.ljust(FLASH_BYTES, b"\xff")


class Simulator:
    """A simulated board on a flash file. Starting it again on the same file is a power cycle."""

    def __init__(self, program: Path, flash: Path) -> None:
        self._program = program
        self.flash = flash
        self._process: subprocess.Popen[bytes] | None = None
        self._end = -1

    @property
    def port(self) -> str:
        return os.ttyname(self._end)

    def start(self, cut: int = 0, mode: str = "before") -> None:
        line, self._end = os.openpty()
        tty.setraw(self._end)
        extra = [str(cut), mode] if cut else []
        self._process = subprocess.Popen(
            [str(self._program), str(self.flash), str(line), *extra], pass_fds=(line,), stderr=subprocess.PIPE
        )
        os.close(line)  # now the line breaks when the program ends

    def link(self, timeout_s: float = 20.0) -> BoardLink:
        return BoardLink(self.port, timeout_s=timeout_s)

    def was_cut(self) -> bool:
        """Whether the program ended at its power cut; any other end is an error."""
        assert self._process is not None
        if self._process.poll() is None:
            try:
                self._process.wait(0.5)
            except subprocess.TimeoutExpired:
                return False
        assert self._process.returncode == 99, self._words()
        return True

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            words = self._words()
            assert "Sanitizer" not in words, words
            assert "runtime error" not in words, words
            os.close(self._end)
            self._process = None

    def _words(self) -> str:
        assert self._process is not None
        assert self._process.stderr is not None
        words = "" if self._process.stderr.closed else self._process.stderr.read().decode()
        self._process.stderr.close()
        return words
