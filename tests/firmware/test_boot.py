"""Slots, boot and refusals of the portable core, over the real board link, on the simulated board."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from firmware_helpers import (
    ADDS_TWO,
    ANSWER,
    CASE,
    COUNTS,
    CRASHES,
    CRASHES_ON_EE,
    FAILS,
    HANGS,
    OTHER_KEY,
    SLOT_BYTES,
    Simulator,
    blank_flash,
    make_image,
    make_payload,
)

from flota.boardlink import BoardLink, BoardRefused, ResetCause, SlotState, Status, Verdict
from flota.image import PAYLOAD_OFFSET, SIGNATURE_BYTES, UNSIGNED, Slot

REPOSITORY = Path(__file__).parents[2]


def confirm_in(link: BoardLink, slot: Slot, version: str = "1.0.0", counter: int = 0, behaviour: int = 0) -> None:
    link.install(make_image(slot, behaviour, version=version, security_counter=counter))
    assert link.activate(slot).running == slot
    link.confirm()


def test_an_image_is_installed_tested_activated_and_confirmed(board: Simulator) -> None:
    board.start()
    with board.link() as link:
        steps: list[tuple[int, int]] = []
        image = make_image("A", version="1.2.3", security_counter=7)
        assert link.install(image, lambda done, total: steps.append((done, total))) == "A"
        assert steps[-1] == (len(image), len(image))
        info = link.info()
        assert info.running is None
        assert info.slots["A"].state is SlotState.PENDING
        info = link.activate("A")
        assert info.slots["A"].state is SlotState.TESTING
        assert info.probation_left_ms > 0
        assert info.floor == 0
        link.confirm()
        info = link.info()
        assert info.slots["A"].state is SlotState.CONFIRMED
        assert (info.slots["A"].model, info.slots["A"].version) == ("adder", "1.2.3")
        assert info.floor == 7
        assert link.infer(CASE).output == ANSWER
        assert link.selftest() == 2


def test_a_pending_image_does_not_run_by_itself(board: Simulator) -> None:
    board.start()
    with board.link() as link:
        confirm_in(link, "A")
        link.install(make_image("B", version="1.1.0"))
        info = link.reset()
        assert info.running == "A"
        assert info.slots["B"].state is SlotState.PENDING


@pytest.mark.parametrize(
    ("behaviour", "verdict", "cause"),
    [
        (ADDS_TWO, Verdict.SELFTEST, ResetCause.COMMANDED),
        (FAILS, Verdict.SELFTEST, ResetCause.COMMANDED),
        (CRASHES, Verdict.CRASHED, ResetCause.CRASH),
        (HANGS, Verdict.WATCHDOG, ResetCause.WATCHDOG),
    ],
)
def test_a_bad_image_gives_way_to_the_confirmed_one(
    board: Simulator, behaviour: int, verdict: Verdict, cause: ResetCause
) -> None:
    board.start()
    with board.link() as link:
        confirm_in(link, "A")
        link.install(make_image("B", behaviour, version="1.1.0", security_counter=5))
        info = link.activate("B")
        assert info.running == "A"
        assert (info.slots["B"].state, info.slots["B"].verdict) == (SlotState.BAD, verdict)
        assert (info.last_slot, info.last_verdict, info.last_cause) == ("B", verdict, cause)
        assert info.floor == 0
        with pytest.raises(BoardRefused) as refused:
            link.activate("B")
        assert refused.value.code == "slot.not-ready"


def test_a_bad_first_image_leaves_a_board_that_can_be_mended(board: Simulator) -> None:
    board.start()
    with board.link() as link:
        link.install(make_image("A", CRASHES))
        assert link.activate("A").running is None
        with pytest.raises(BoardRefused) as refused:
            link.infer(CASE)
        assert refused.value.code == "model.none"
        confirm_in(link, "A")


def test_an_unconfirmed_image_is_rolled_back_at_the_next_reset(board: Simulator) -> None:
    board.start()
    with board.link() as link:
        confirm_in(link, "A")
        link.install(make_image("B", version="1.1.0"))
        assert link.activate("B").running == "B"
        info = link.reset()
        assert (info.running, info.slots["B"].verdict) == ("A", Verdict.UNCONFIRMED)


def test_an_unconfirmed_image_is_rolled_back_after_its_probation(board: Simulator) -> None:
    board.start()
    with board.link() as link:
        confirm_in(link, "A")
        link.install(make_image("B", version="1.1.0"))
        info = link.activate("B", probation_s=0.2)
        while info.running == "B":
            info = link.info()
        assert (info.running, info.last_verdict, info.reset_cause) == ("A", Verdict.PROBATION, ResetCause.PROBATION)


def test_rollback_from_testing_and_from_confirmed(board: Simulator) -> None:
    board.start()
    with board.link() as link:
        confirm_in(link, "A")
        link.install(make_image("B", version="1.1.0"))
        link.activate("B")
        info = link.rollback()
        assert (info.running, info.slots["B"].state, info.last_verdict) == ("A", SlotState.BAD, Verdict.COMMANDED)
        confirm_in(link, "B", "1.1.0")
        info = link.rollback()
        assert (info.running, info.slots["B"].state) == ("A", SlotState.CONFIRMED)
        assert link.activate("B").running == "B"
        assert link.reset().running == "B"


def test_an_image_that_was_given_up_is_never_taken_for_confirmed(board: Simulator) -> None:
    board.start()
    with board.link() as link:
        confirm_in(link, "A")
        link.install(make_image("B", CRASHES))
        link.activate("B")
        with pytest.raises(BoardRefused) as refused:
            link.confirm("B")
        assert refused.value.code == "slot.not-running"


def test_rollback_without_another_confirmed_image_is_refused(board: Simulator) -> None:
    board.start()
    with board.link() as link:
        confirm_in(link, "A")
        with pytest.raises(BoardRefused) as refused:
            link.rollback()
        assert refused.value.status is Status.NO_FALLBACK


def test_the_floor_rises_only_by_confirming(board: Simulator) -> None:
    board.start()
    with board.link() as link:
        confirm_in(link, "A", counter=3)
        link.install(make_image("B", version="1.1.0", security_counter=9))
        assert link.activate("B").floor == 3
        assert link.rollback().floor == 3
        confirm_in(link, "B", "1.2.0", counter=9)
        assert link.info().floor == 9
        with pytest.raises(BoardRefused) as refused:
            link.rollback()  # the other image is below the floor now
        assert refused.value.code == "image.under-floor"
        with pytest.raises(BoardRefused) as refused:
            link.install(make_image("A", version="2.0.0", security_counter=8))
        assert refused.value.code == "image.under-floor"
        confirm_in(link, "A", "0.9.0", counter=9)  # an older version at the floor is welcome


def test_the_running_slot_and_the_only_fallback_are_not_overwritten(board: Simulator) -> None:
    board.start()
    with board.link() as link:
        confirm_in(link, "A")
        with pytest.raises(BoardRefused) as refused:
            link.install(make_image("A"))
        assert refused.value.code == "slot.running"
        link.install(make_image("B"))
        link.activate("B")
        for action in (lambda: link.install(make_image("A")), lambda: link.erase("A")):
            with pytest.raises(BoardRefused) as refused:
                action()
            assert refused.value.code == "slot.fallback"
        with pytest.raises(BoardRefused) as refused:
            link.activate("A")
        assert refused.value.code == "link.wrong-state"


def test_a_confirmed_image_that_crashes_again_and_again_gives_way(board: Simulator) -> None:
    board.start()
    with board.link() as link:
        confirm_in(link, "A")
        confirm_in(link, "B", "1.1.0", behaviour=CRASHES_ON_EE)
        poison = b"\xee" + bytes(23)
        for crash in range(1, 4):
            with pytest.raises(BoardRefused):  # asked again after the reset, the board has no input
                link.infer(poison)
            info = link.info()
            assert info.reset_cause is ResetCause.CRASH
            assert info.running == ("B" if crash < 3 else "A")
        assert info.slots["B"].verdict is Verdict.CRASHED


def test_a_confirmed_image_that_rots_gives_way(board: Simulator) -> None:
    board.start()
    with board.link() as link:
        confirm_in(link, "A")
        confirm_in(link, "B", "1.1.0")
    board.stop()
    flash = bytearray(board.flash.read_bytes())
    flash[20 * 4096 + 3000] ^= 1
    board.flash.write_bytes(flash)
    board.start()
    with board.link() as link:
        info = link.info()
        assert (info.running, info.slots["B"].verdict) == ("A", Verdict.INVALID)


def tampered(image: bytes, offset: int) -> bytes:
    offset %= len(image)
    return image[:offset] + bytes([image[offset] ^ 1]) + image[offset + 1 :]


REFUSALS = {
    "image.bad-signature": [
        make_image("A", key=OTHER_KEY),
        UNSIGNED + make_image("A")[SIGNATURE_BYTES:],
        tampered(make_image("A"), 0),
        tampered(make_image("A"), 40),
        tampered(make_image("A"), -1),
        tampered(make_image("A"), PAYLOAD_OFFSET),
    ],
    "image.format": [
        tampered(make_image("A"), SIGNATURE_BYTES),
        tampered(make_image("A"), PAYLOAD_OFFSET - 1),
        tampered(make_image("A"), SIGNATURE_BYTES + 84),  # version: the header's own CRC finds it first
        bytes(1000),
    ],
    "image.wrong-board": [make_image("A", board="host-simulator2"), make_image("A", board="host-simulato")],
    "image.wrong-slot": [make_image("B"), make_image("A", load_address=0x21000000)],
    "image.truncated": [
        make_image("A")[:-1],
        make_image("A")[:4096],
        make_image("A")[:100],
        make_image("A", payload_bytes=0xFFFFFFFF),
    ],
    "image.oversize": [make_image("A") + b"\0", bytes(SLOT_BYTES + 1)],
    "image.arena-too-large": [make_image("A", arena_bytes=4097)],
    "image.bad-model": [
        make_image("A", model_offset=18),
        make_image("A", model_offset=0xFFFFFFF0),
        make_image("A", arena_bytes=128),
        make_image("A", payload=make_payload("A", abi=1)),
        make_image("A", payload=make_payload("A", inputs=0)),
        make_image("A", payload=make_payload("A", outputs=17)),
        make_image("A", payload=make_payload("A", input_table=0)),
        make_image("A", payload=make_payload("A", output_table=0xFFFFFFF8)),
        make_image("A", payload=make_payload("A", entry=0x20000001)),
        make_image("A", payload=make_payload("A", reset=0x20000001)),
        make_image("A", payload=make_payload("A", state=16)),  # and nothing that sets it
        make_image("A", payload=make_payload("A", COUNTS, reset=0x20000001)),
        make_image("A", payload=make_payload("A", COUNTS, state=17)),  # an input begins at 16
    ],
    "image.bad-golden": [
        make_image("A", golden_count=0),
        make_image("A", golden_count=0xFFFFFFFF),
        make_image("A", input_bytes=23),
        make_image("A", golden_outputs_offset=4990),
    ],
}


@pytest.mark.parametrize("code", REFUSALS)
def test_refusals_change_nothing(board: Simulator, code: str) -> None:
    board.start()
    with board.link() as link:
        confirm_in(link, "B", "1.0.0")
        for image in REFUSALS[code]:
            with pytest.raises(BoardRefused) as refused:
                link.send_image("A", image)
            assert refused.value.code == code
            info = link.info()
            assert info.slots["A"].state is SlotState.EMPTY
            assert info.running == "B"
            with pytest.raises(BoardRefused):
                link.activate("A")


def test_a_header_that_cannot_run_is_refused_before_the_rest_is_sent(board: Simulator) -> None:
    board.start()
    sent: list[int] = []
    with board.link() as link, pytest.raises(BoardRefused) as refused:
        link.send_image("A", make_image("B", payload=make_payload("B", size=60000)), lambda done, _: sent.append(done))
    assert refused.value.code == "image.wrong-slot"
    assert not sent


def test_a_board_without_factory_page_takes_no_image(board: Simulator) -> None:
    board.flash.write_bytes(blank_flash(provisioned=False))
    board.start()
    with board.link() as link:
        assert not link.info().provisioned
        with pytest.raises(BoardRefused) as refused:
            link.install(make_image("A"))
        assert refused.value.code == "board.not-provisioned"


def test_a_tensor_outside_the_arena_is_refused(board: Simulator) -> None:
    payload = bytearray(make_payload("A"))
    payload[68:72] = (250).to_bytes(4, "little")  # 24 bytes at 250 of 256
    board.start()
    with board.link() as link, pytest.raises(BoardRefused) as refused:
        link.send_image("A", make_image("A", payload=bytes(payload)))
    assert refused.value.code == "image.bad-model"


def test_a_streaming_model_goes_on_from_its_last_run_until_it_is_told_not_to(board: Simulator) -> None:
    image = make_image("A", COUNTS)
    board.start()
    with board.link() as link:
        link.install(image)
        link.activate("A")
        link.confirm()

        def added(*, fresh: bool = False) -> int:
            return link.infer(CASE, fresh=fresh).output[0] - CASE[0]

        assert [added() for _ in range(3)] == [1, 2, 3]
        assert [added(fresh=True), added(), added(fresh=True), added(fresh=True)] == [1, 2, 1, 1]
        assert link.selftest() == 2
        assert added() == 1  # the self-test leaves the initial state
        link.reset()
        assert added() == 1


def test_the_readme_draws_the_table_in_the_code() -> None:
    """The state table stands in firmware/README.md and in slots.c; neither may say something else."""
    source = (REPOSITORY / "firmware" / "src" / "slots.c").read_text()
    rows = re.findall(r"^    \[(\w+)\] = +\{([^}]*)\}", source, re.MULTILINE)
    code = {row: [cell.strip() for cell in cells.split(",")] for row, cells in rows}
    readme = (REPOSITORY / "firmware" / "README.md").read_text()
    table = re.findall(r"^\| (\d) (\w+) \|(.*)\|$", readme, re.MULTILINE)
    drawn = {name: [cell.strip().replace("–", "NEVER") for cell in cells.split("|")] for _, name, cells in table}
    assert drawn == code
    assert [(int(number), name) for number, name, _ in table] == [(state.value, state.name) for state in SlotState]
