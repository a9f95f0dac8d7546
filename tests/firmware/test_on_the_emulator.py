"""The real firmware on the emulated board: real images, real crashes, exact counts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flota.boardlink import BoardLink, BoardLinkError, BoardRefused, LinkTimeout, ResetCause, SlotState, Verdict
from flota.boardlink.geometry import find_geometry
from flota.image import Slot, factory_page, sign_image
from flota.runtimes import RuntimeFailure
from flota.runtimes.board import BoardRuntime
from flota.toolchain import link_image
from hil.boards import QemuBoard

pytestmark = pytest.mark.emulated

ON_EVERY_BOARD = pytest.mark.parametrize("board_name", ["qemu-mps2-an386", "qemu-mps3-an547"], indirect=True)
KEY = Ed25519PrivateKey.from_private_bytes(b"image key of the emulated board.")
ADDER = (Path(__file__).parent / "models" / "adder.c").read_bytes()
CASE = bytes(range(24))
ANSWER = bytes(value + 1 for value in CASE)
NOTHING = "(void)0"


class Images:
    """Makes signed images for one board."""

    def __init__(self, board: str) -> None:
        self._board = board

    def __call__(
        self, slot: Slot, behaviour: str = NOTHING, *, step: int = 1, version: str = "1.0.0", counter: int = 0
    ) -> bytes:
        base = find_geometry(self._board).flash.base
        text = f"#define STEP {step}u\n#define FLASH_BASE {base}u\n#define BEHAVIOUR(arena) {behaviour}\n"
        image = link_image(
            self._board,
            slot,
            {"adder.c": ADDER, "behaviour.h": text.encode()},
            [],
            model="adder",
            version=version,
            security_counter=counter,
            golden=[(CASE, ANSWER), (bytes(24), b"\1" * 24)],
            arena_bytes=256,
        )
        return sign_image(image.data, KEY)


@pytest.fixture
def make_image(board_name: str) -> Images:
    return Images(board_name)


@pytest.fixture
def qemu(board_name: str, firmware_elf: Path, tmp_path: Path) -> Iterator[QemuBoard]:
    """A provisioned board, running."""
    flash = tmp_path / "flash.bin"
    with flash.open("wb") as stream:
        stream.write(factory_page(KEY.public_key(), board=board_name, serial="q-1").ljust(16 << 20, b"\xff"))
    with QemuBoard(board_name, flash=flash, firmware_elf=firmware_elf) as board:
        yield board


@pytest.fixture
def link(qemu: QemuBoard, make_image: Images) -> Iterator[BoardLink]:
    """A link to it, with version 1.0.0 confirmed in slot A."""
    with BoardLink(qemu.port, timeout_s=200) as link:
        link.install(make_image("A"))
        assert link.activate("A").running == "A"
        link.confirm()
        yield link


@ON_EVERY_BOARD
def test_identity_and_sizes(board_name: str, link: BoardLink) -> None:
    info, stats = link.info(), link.stats()
    assert (info.board, info.serial, info.provisioned) == (board_name, "q-1", True)
    assert (info.input_bytes, info.output_bytes) == (24, 24)
    assert 0 < stats.flash_bytes < 64 << 10
    assert 0 < stats.ram_bytes < 64 << 10
    assert 0 < stats.stack_peak_bytes < stats.stack_bytes
    assert stats.bad_frames == 0


def test_inference_and_its_instructions_are_the_same_every_time(link: BoardLink) -> None:
    results = {link.infer(CASE) for _ in range(5)}
    assert len(results) == 1
    assert results.pop().output == ANSWER
    assert link.selftest() == 2


@ON_EVERY_BOARD
def test_instructions_are_counted_one_by_one(link: BoardLink, make_image: Images) -> None:
    base = link.infer(CASE).instructions
    for count in (1, 2, 31, 32, 39, 40, 41, 125, 1000):
        link.install(make_image("B", f'__asm__ volatile(".rept {count}\\n nop\\n .endr")'))
        link.activate("B")
        assert link.infer(CASE).instructions == base + count
        link.rollback()


@ON_EVERY_BOARD
def test_the_stack_of_a_run_is_measured(link: BoardLink, make_image: Images) -> None:
    deep = "volatile uint8_t deep[3000]; for (uint32_t i = 0; i < 3000u; i++) { deep[i] = arena[0]; (void)deep[i]; }"
    link.install(make_image("B", deep))
    link.activate("B")
    assert 3000 <= link.infer(CASE).stack_bytes <= 3064
    assert link.stats().model_stack_peak_bytes <= 3064
    link.confirm()
    link.rollback()
    assert link.infer(CASE).stack_bytes < 64


OVERFLOW = "volatile uint8_t big[100000]; for (uint32_t i = 100000; i-- > 0;) { big[i] = 1; (void)big[i]; }"
ASTRAY = "{{ volatile uint32_t where = {}; *(volatile uint32_t *)where = 1u; }}"


@ON_EVERY_BOARD
@pytest.mark.parametrize(
    "behaviour",
    [
        '__asm__ volatile("udf #0")',
        OVERFLOW,
        ASTRAY.format(16),
        ASTRAY.format("FLASH_BASE + 0x1000"),
        ASTRAY.format(0xF0000000),
    ],
    ids=["undefined instruction", "stack overflow", "write to code", "write to flash", "write to nowhere"],
)
def test_a_crash_rolls_back(link: BoardLink, behaviour: str, make_image: Images) -> None:
    link.install(make_image("B", behaviour, version="1.1.0"))
    info = link.activate("B")
    assert info.running == "A"
    assert (info.slots["B"].state, info.slots["B"].verdict) == (SlotState.BAD, Verdict.CRASHED)
    assert info.reset_cause is ResetCause.CRASH
    assert link.stats().crash_status != 0
    assert link.infer(CASE).output == ANSWER


def test_a_wrong_output_rolls_back(link: BoardLink, make_image: Images) -> None:
    link.install(make_image("B", step=2))
    info = link.activate("B")
    assert (info.running, info.slots["B"].verdict) == ("A", Verdict.SELFTEST)


@pytest.mark.slow
@ON_EVERY_BOARD
def test_a_hanging_model_is_ended_by_the_watchdog(board_name: str, link: BoardLink, make_image: Images) -> None:
    link.install(make_image("B", "for (;;) { }"))
    info = link.activate("B")
    assert (info.running, info.slots["B"].verdict) == ("A", Verdict.WATCHDOG)
    assert info.reset_cause is ResetCause.WATCHDOG
    slot = find_geometry(board_name).slot_address("B")
    assert slot <= link.stats().crash_address < slot + 0x1000


@ON_EVERY_BOARD
def test_an_image_nobody_confirms_is_rolled_back(link: BoardLink, make_image: Images) -> None:
    link.install(make_image("B", version="1.1.0"))
    info = link.activate("B", probation_s=0.1)
    while info.running == "B":
        time.sleep(0.2)  # while nobody asks, the board's clock keeps up with the wall's
        info = link.info()
    assert (info.running, info.last_verdict) == ("A", Verdict.PROBATION)


def test_signature_slot_and_floor_are_checked_on_the_device(link: BoardLink, make_image: Images) -> None:
    link.install(make_image("B", version="1.1.0", counter=5))
    assert link.activate("B").running == "B"
    link.confirm()
    assert link.info().floor == 5
    good = make_image("A", version="1.2.0", counter=5)
    forged = sign_image(good, Ed25519PrivateKey.generate())
    for slot, image, code in (
        ("A", forged, "image.bad-signature"),
        ("A", good[:-1] + bytes([good[-1] ^ 1]), "image.bad-signature"),
        ("A", make_image("B", counter=5), "image.wrong-slot"),
        ("A", make_image("A", version="2.0.0", counter=4), "image.under-floor"),
    ):
        with pytest.raises(BoardRefused) as refused:
            link.send_image("A" if slot == "A" else "B", image)
        assert refused.value.code == code
        assert link.info().slots["A"].state is SlotState.EMPTY
    link.install(good)
    assert link.activate("A").running_slot == link.info().slots["A"]


@ON_EVERY_BOARD
def test_a_power_cut_while_an_image_is_sent_or_tested(qemu: QemuBoard, link: BoardLink, make_image: Images) -> None:
    image = make_image("B", version="1.1.0")
    link.close()
    with BoardLink(qemu.port, timeout_s=2) as sender, pytest.raises(BoardLinkError):
        sender.send_image("B", image, lambda done, total: qemu.power_cut())
    qemu.start()
    with BoardLink(qemu.port, timeout_s=200) as again:
        info = again.info()
        assert (info.running, info.slots["B"].state, info.reset_cause) == ("A", SlotState.EMPTY, ResetCause.POWER_ON)
        again.install(image)
        assert again.activate("B").running == "B"
        qemu.restart()
    with BoardLink(qemu.port, timeout_s=200) as again:
        info = again.info()
        assert (info.running, info.slots["B"].verdict) == ("A", Verdict.UNCONFIRMED)
        assert again.infer(CASE).output == ANSWER


def test_noise_on_the_line_does_no_harm(qemu: QemuBoard, link: BoardLink) -> None:
    link.close()
    with serial.serial_for_url(qemu.port, timeout=1) as raw:
        raw.write(bytes(range(1, 256)) * 40 + b"\0" + b"\x05\x01\x02\0" + b"\0\0\xff\0")
    with BoardLink(qemu.port, timeout_s=200) as again:
        assert again.infer(CASE).output == ANSWER
        assert again.stats().bad_frames >= 2


def test_the_runtime_runs_the_board(qemu: QemuBoard, link: BoardLink) -> None:
    runtime = BoardRuntime(link)
    assert runtime.infer(CASE) == ANSWER
    assert runtime.last is not None
    assert runtime.last.instructions > 0
    with pytest.raises(RuntimeFailure, match="24 expected"):
        runtime.infer(CASE[:-1])
    runtime.close()
    with pytest.raises(RuntimeFailure, match="closed"):
        runtime.infer(CASE)


def test_a_board_without_power_is_a_clear_error(qemu: QemuBoard) -> None:
    qemu.power_cut()
    with BoardLink(qemu.port, timeout_s=1.5) as link, pytest.raises(LinkTimeout, match="INFO"):
        link.info()
