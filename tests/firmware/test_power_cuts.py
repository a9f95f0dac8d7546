"""Cut the power at every flash operation of every way through the state machine, in every manner; then look.

The promise: whatever was going on, the board comes back to a confirmed image that gives right answers, the floor has
never risen above what was confirmed, and the interrupted work can be done again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from firmware_helpers import ADDS_TWO, ANSWER, CASE, CRASHES, Simulator, make_image

from flota.boardlink import BoardInfo, BoardLink, BoardLinkError, BoardRefused, LinkTimeout, PortUnavailable, SlotState

MODES = ("before", "half", "after", "junk")
OLD, NEW = "1.0.0", "1.1.0"
OLD_COUNTER, NEW_COUNTER = 1, 2


def update(link: BoardLink) -> None:
    link.install(make_image("B", version=NEW, security_counter=NEW_COUNTER))
    link.activate("B")
    link.confirm()


def update_that_crashes(link: BoardLink) -> None:
    link.install(make_image("B", CRASHES, version=NEW, security_counter=NEW_COUNTER))
    link.activate("B")


def update_that_answers_wrong(link: BoardLink) -> None:
    link.install(make_image("B", ADDS_TWO, version=NEW, security_counter=NEW_COUNTER))
    link.activate("B")


def update_that_nobody_confirms(link: BoardLink) -> None:
    link.install(make_image("B", version=NEW, security_counter=NEW_COUNTER))
    link.activate("B")
    link.reset()


def update_that_is_taken_back(link: BoardLink) -> None:
    link.install(make_image("B", version=NEW, security_counter=NEW_COUNTER))
    link.activate("B")
    link.rollback()


def back_and_forth(link: BoardLink) -> None:
    link.install(make_image("B", version=NEW, security_counter=OLD_COUNTER))
    link.activate("B")
    link.confirm()
    link.rollback()
    link.activate("B")


@dataclass(frozen=True)
class Scenario:
    run: Callable[[BoardLink], None]
    ends_with: str
    floor: int


SCENARIOS = [
    Scenario(update, NEW, NEW_COUNTER),
    Scenario(update_that_crashes, OLD, OLD_COUNTER),
    Scenario(update_that_answers_wrong, OLD, OLD_COUNTER),
    Scenario(update_that_nobody_confirms, OLD, OLD_COUNTER),
    Scenario(update_that_is_taken_back, OLD, OLD_COUNTER),
    Scenario(back_and_forth, NEW, OLD_COUNTER),
]


def running_version(info: BoardInfo) -> str:
    assert info.running_slot is not None, info
    return info.running_slot.version


def settle(board: Simulator) -> BoardInfo:
    """Power on after a cut, look at what runs; an unconfirmed image must go when the board is reset once more."""
    board.start()
    with board.link() as link:
        info = link.info()
        running_version(info)
        if info.running_slot is not None and info.running_slot.state is SlotState.TESTING:
            assert link.infer(CASE).output == ANSWER
            info = link.reset()
        assert info.running_slot is not None
        assert info.running_slot.state is SlotState.CONFIRMED
        assert link.infer(CASE).output == ANSWER
        assert link.selftest() == 2
    return info


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.run.__name__)
def test_every_power_cut_leaves_a_confirmed_image(board: Simulator, scenario: Scenario, mode: str) -> None:
    board.start()
    with board.link() as link:
        link.install(make_image("A", version=OLD, security_counter=OLD_COUNTER))
        link.activate("A")
        link.confirm()
    board.stop()
    before = board.flash.read_bytes()
    for cut in range(1, 200):
        board.flash.write_bytes(before)
        board.start(cut, mode)
        try:
            with board.link(timeout_s=20) as link:
                scenario.run(link)
        except (PortUnavailable, LinkTimeout, BoardRefused):
            assert board.was_cut()
        was_cut = board.was_cut()
        board.stop()
        info = settle(board)
        if not was_cut:
            assert (running_version(info), info.floor) == (scenario.ends_with, scenario.floor)
            assert cut > 10, "the scenario did nothing"
            return
        assert running_version(info) in (OLD, NEW)
        assert info.floor == (
            NEW_COUNTER if running_version(info) == NEW and scenario.floor > OLD_COUNTER else OLD_COUNTER
        )
        mend(board, info)
        board.stop()
    pytest.fail("the scenario never ended")


def mend(board: Simulator, info: BoardInfo) -> None:
    """After the cut a whole update goes through."""
    slot = info.inactive_slot
    with board.link() as link:
        link.install(make_image(slot, version="1.2.0", security_counter=info.floor))
        assert running_version(link.activate(slot)) == "1.2.0"
        link.confirm()


def test_a_power_cut_during_the_first_installation_leaves_a_board_that_can_be_mended(board: Simulator) -> None:
    blank = board.flash.read_bytes()
    for cut in range(1, 30):
        board.flash.write_bytes(blank)
        board.start(cut, "half")
        try:
            with board.link() as link:
                link.install(make_image("A"))
                link.activate("A")
                link.confirm()
        except BoardLinkError:
            assert board.was_cut()
        done = not board.was_cut()
        board.stop()
        board.start()
        with board.link() as link:
            info = link.info()
            if info.running is None or done:
                assert info.running == ("A" if done else None)
            mended = info.inactive_slot
            if info.running_slot is not None and info.running_slot.state is SlotState.TESTING:
                link.confirm()
            link.install(make_image(mended))
            assert link.activate(mended).running == mended
        board.stop()
        if done:
            return
    pytest.fail("the installation never ended")
