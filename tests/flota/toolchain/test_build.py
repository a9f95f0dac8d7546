"""Firmware and images from sources, and what is said when they cannot be had."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from flota.boardlink.geometry import board_names, find_geometry
from flota.errors import MissingTool, UsageError
from flota.image import PAYLOAD_OFFSET, Slot, parse_image
from flota.toolchain import (
    CompileError,
    ThirdPartyMissing,
    UnsignedImage,
    build_firmware,
    fetch_third_party,
    link_image,
    thirdparty,
)
from flota.toolchain.__main__ import main

BOARD = "qemu-mps2-an386"
MODEL = b"""
#include "flota/model.h"
static const flota_tensor_slot_t TENSORS[] = {{0, 4}, {16, 4}};
static int32_t invoke(uint8_t *arena) { arena[16] = arena[0]; return 0; }
const flota_model_t flota_model = {FLOTA_MODEL_ABI, 32, 0, 1, 1, &TENSORS[0], &TENSORS[1], invoke, 0};
"""


def link(
    slot: Slot = "A",
    source: bytes = MODEL,
    board: str = BOARD,
    golden: Sequence[tuple[bytes, bytes]] = ((b"\1\2\3\4", b"\1\0\0\0"),),
) -> UnsignedImage:
    return link_image(
        board,
        slot,
        {"model.c": source},
        [],
        model="copy",
        version="1.2.3",
        security_counter=3,
        golden=golden,
        arena_bytes=32,
    )


def test_an_image_says_what_it_is_and_is_the_same_every_time() -> None:
    image = link("B")
    header = parse_image(image.data)
    assert header == image.header
    assert (header.board, header.slot, header.model, header.version) == (BOARD, "B", "copy", "1.2.3")
    assert header.load_address == find_geometry(BOARD).slot_address("B")
    payload = image.data[PAYLOAD_OFFSET:]
    assert payload[header.golden_inputs_offset :][:4] == b"\1\2\3\4"
    assert payload[header.golden_outputs_offset :][:4] == b"\1\0\0\0"
    assert image.flash_bytes <= len(payload)
    assert link("B").data == image.data
    assert link("A").data != image.data


def test_assembly_sources_are_preprocessed_and_linked() -> None:
    calls = MODEL.replace(
        b"arena[16] = arena[0]; return 0;", b"extern int32_t answer(uint8_t *); return answer(arena);"
    )
    assembly = b"""
#include "number.h"
.syntax unified
.thumb
.section .text.answer, "ax"
.global answer
.type answer, %function
answer:
    movw r0, #NUMBER
    bx lr
"""
    sources = {"model.c": calls, "answer.S": assembly, "number.h": b"#define NUMBER 0x1234\n"}
    image = link_image(
        BOARD,
        "A",
        sources,
        [],
        model="m",
        version="1.0.0",
        security_counter=0,
        golden=[(b"\1\2\3\4", b"\1\0\0\0")],
        arena_bytes=32,
    )
    assert bytes.fromhex("41f23420 7047") in image.data  # movw r0, #0x1234; bx lr


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (MODEL.replace(b"arena[16] =", b"arena[16] ="[:-1]), "error"),
        (MODEL + b"int counter = 1; int *p(void); int *p(void) { return &counter; }", None),
        (MODEL.replace(b"{ arena[16]", b"{ static int calls; arena[17] = (uint8_t)++calls; arena[16]"), "writable"),
        (MODEL.replace(b"flota_model =", b"flota_mode1 ="), "flota_model"),
        (MODEL.replace(b"return 0;", b"extern int missing(void); return missing();"), "missing"),
    ],
)
def test_sources_that_cannot_be_an_image(source: bytes, message: str | None) -> None:
    if message is None:
        assert link(source=source).data  # unused writable data is dropped by the linker
        return
    with pytest.raises(CompileError, match=message):
        link(source=source)


def test_unknown_boards_and_bad_golden_cases_are_refused() -> None:
    with pytest.raises(UsageError, match="qemu-mps2-an387") as error:
        link(board="qemu-mps2-an387")
    assert BOARD in error.value.hint
    with pytest.raises(UsageError):
        link_image(
            BOARD,
            "A",
            {"model.c": MODEL},
            [],
            model="m",
            version="1.0.0",
            security_counter=0,
            golden=[],
            arena_bytes=32,
        )
    assert BOARD in board_names()


def test_the_firmware_is_built_once(tmp_path: Path) -> None:
    first = build_firmware(BOARD, tmp_path)
    changed = first.elf.stat().st_mtime_ns
    assert build_firmware(BOARD, tmp_path) == first
    assert first.elf.stat().st_mtime_ns == changed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["build.json", "firmware.elf"]
    assert 0 < first.flash_bytes < 64 << 10


def test_a_missing_compiler_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match="arm-none-eabi-gcc") as error:
        link()
    assert error.value.hint == "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"


def test_third_party_sources_are_kept_and_its_absence_explained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = fetch_third_party()
    assert all(source.is_file() for source in kept.sources)
    assert main(["--fetch"]) == 0
    pin = tmp_path / "third_party.txt"
    nowhere = f"0.0.0 --hash=sha256:{'0' * 64}\n"
    pin.write_text(f"pymonocypher=={nowhere}pynacl=={nowhere}")
    monkeypatch.setattr(thirdparty, "REQUIREMENTS", pin)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(ThirdPartyMissing) as error:
        fetch_third_party(tmp_path / "cache")
    assert "--fetch" in error.value.hint
    assert not (tmp_path / "cache").exists()
