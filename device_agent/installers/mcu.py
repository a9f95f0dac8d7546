"""A microcontroller on a serial link as the device: this agent is its gateway.

The board has slots, verification, watchdog and fallback of its own (``firmware/``); what it says it runs is the truth.
The gateway keeps the bundle of each of its slots beside it, for the signature and golden vectors of what runs there.
Costs are instructions counted by the board; they are compared with each other and never turned into time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from device_agent.errors import BoardAbsent, BoardFellBack, SelfTestMismatch, SlotError, WrongTarget
from device_agent.installers.base import Answer, Model, ModelClosed, check_target
from device_agent.slots import Slots
from device_agent.state import AgentState, Job, Slot
from flota.boardlink.client import BoardInfo, BoardLink
from flota.boardlink.errors import BoardRefused, GarbledFrame, LinkTimeout, PortUnavailable
from flota.boardlink.protocol import SlotState, Verdict
from flota.bundle import Bundle, Manifest
from flota.messages import DeviceKind, Running
from flota.runtimes import RuntimeFailure

TARGETS = ("cortex-m4f-aot", "cortex-m55-aot")
TIMEOUT_S = 20.0
_PROBATION_MARGIN_S = 120.0
_T = TypeVar("_T")


class BoardModel:
    """What runs on the board, with the bundle it came from."""

    unit = "instructions"

    def __init__(self, bundle: Bundle, board: _Board) -> None:
        self.manifest: Manifest = bundle.manifest
        self.golden: Sequence[tuple[bytes, bytes]] = bundle.golden_cases()
        self._board = board
        self.closed = False

    def infer(self, case: bytes) -> Answer:
        """See :class:`device_agent.installers.base.Model`; the cost is counted instructions."""
        return self._board.use(lambda link: self._infer(link, case))

    def _infer(self, link: BoardLink, case: bytes) -> Answer:
        if self.closed:
            raise ModelClosed
        try:
            result = link.infer(case)
        except BoardRefused as error:
            raise RuntimeFailure(f"the board: {error.message}") from error
        return Answer(result.output, float(result.instructions))


class _Board:
    """The serial link, opened when it is needed and dropped when it fails. One user at a time."""

    def __init__(self, port: str) -> None:
        self._port = port
        self._link: BoardLink | None = None
        self._lock = threading.RLock()

    def use(self, ask: Callable[[BoardLink], _T]) -> _T:
        """Ask the board something.

        Raises:
            BoardAbsent: It cannot be reached or does not answer.
            BoardRefused: It refused.
        """
        with self._lock:
            try:
                if self._link is None:
                    self._link = BoardLink(self._port, timeout_s=TIMEOUT_S)
                return ask(self._link)
            except (PortUnavailable, LinkTimeout, GarbledFrame) as error:
                self.drop()
                raise BoardAbsent(error.message, hint=error.hint) from error

    def drop(self) -> None:
        """Close the link; the next use opens it again."""
        with self._lock:
            if self._link is not None:
                self._link.close()
            self._link = None


class McuInstaller:
    """Slots over the board link; see :class:`device_agent.installers.base.Installer`."""

    kind = DeviceKind.MCU
    targets = TARGETS

    def __init__(self, slots: Slots, port: str) -> None:
        self._slots = slots
        self._board = _Board(port)
        self._name = ""
        self._live: BoardModel | None = None

    @property
    def board(self) -> str:
        """The board's name as it tells it."""
        return self._name

    @property
    def model(self) -> Model | None:
        """What runs on the board, where its bundle is here."""
        return self._live

    def recover(self, state: AgentState) -> Running | None:
        """Ask the board what it runs."""
        info = self._info()
        slot, image = info.running, info.running_slot
        if slot is None or image is None:
            self._replace(None)
            return None
        bundle = self._bundle(slot, image.model, image.version)
        self._replace(BoardModel(bundle, self._board) if bundle else None)
        return Running(
            model=image.model,
            version=image.version,
            target=bundle.manifest.target if bundle else TARGETS[0],
            sha256=bundle.sha256 if bundle else "",
            slot=slot,
            since=0,
        )

    def check(self, bundle: Bundle) -> None:
        """It must be compiled for this board."""
        check_target(bundle, TARGETS)
        board = self._info().board
        if board not in bundle.manifest.requires.boards:
            raise WrongTarget(
                f"the bundle is for {', '.join(bundle.manifest.requires.boards) or 'no board'}, this one is {board}",
                hint="compile the model for this board",
            )

    def install(self, job: Job, archive: Path) -> None:
        """Keep the bundle, then send the slot's image; the board verifies it."""
        self._slots.install(job.slot, archive)
        bundle = self._read(job)
        info = self._info()
        if info.running == job.slot:
            raise SlotError(f"the board runs slot {job.slot}, the version cannot go there", hint="assign it again")
        path = f"images/{info.board}/{job.slot.lower()}.img"
        if path not in bundle.files:
            raise WrongTarget(f"the bundle has no {path}", hint="compile the model for this board")
        self._board.use(lambda link: link.send_image(job.slot, bundle.files[path]))

    def self_test(self, job: Job) -> None:
        """The board tests an image when it boots it; here only that it took it."""
        self._read(job)
        state = self._info().slots[job.slot].state
        if state not in (SlotState.PENDING, SlotState.ARMED):
            raise SlotError(f"slot {job.slot} of the board is {state.name}, not PENDING")

    def activate(self, job: Job) -> None:
        """Reset the board into the slot; it must come back on it."""
        bundle, info = self._read(job), self._info()
        if info.running != job.slot:
            probation_s = job.assignment.probation_s + _PROBATION_MARGIN_S
            info = self._board.use(lambda link: link.activate(job.slot, probation_s=probation_s))
        if info.running != job.slot:
            raise _fell_back(info, job.slot)
        self._slots.point_to(job.slot)
        self._replace(BoardModel(bundle, self._board))

    def confirm(self, job: Job) -> None:
        """Tell the board to keep it."""
        info = self._info()
        if info.running != job.slot:
            raise _fell_back(info, job.slot)
        if info.slots[job.slot].state is not SlotState.CONFIRMED:
            self._board.use(lambda link: link.confirm(job.slot))

    def revert(self, job: Job, former: Running | None) -> None:
        """Tell the board to go back, unless it did by itself."""
        info = self._info()
        if info.running == job.slot:
            info = self._board.use(self._go_back)
        if former is None or info.running != former.slot:
            self._replace(None)
            if former is not None:
                raise SlotError(f"the board runs slot {info.running or 'none'}, not {former.slot}")
            return
        self._slots.point_to(former.slot)
        bundle = self._bundle(former.slot, former.model, former.version)
        self._replace(BoardModel(bundle, self._board) if bundle else None)

    def close(self) -> None:
        """Close the link."""
        self._board.drop()

    def check_running(self, job: Job) -> None:
        """Raise BoardFellBack if the board left the job's slot by itself (crash, watchdog, power cut)."""
        info = self._info()
        if info.running != job.slot:
            raise _fell_back(info, job.slot)

    @staticmethod
    def _go_back(link: BoardLink) -> BoardInfo:
        try:
            return link.rollback()
        except BoardRefused as error:
            if error.code != "slot.no-fallback":
                raise
            return link.reset()  # an image that boots twice unconfirmed is given up

    def _info(self) -> BoardInfo:
        info = self._board.use(lambda link: link.info())
        self._name = info.board
        return info

    def _bundle(self, slot: Slot, model: str, version: str) -> Bundle | None:
        """The bundle kept for a slot, if it is the one of what runs there."""
        try:
            bundle = self._slots.read(slot)
        except SlotError:
            return None
        return bundle if (bundle.manifest.model, bundle.manifest.version) == (model, version) else None

    def _read(self, job: Job) -> Bundle:
        bundle = self._slots.read(job.slot)
        if bundle.sha256 != job.assignment.sha256:
            raise SlotError(f"slot {job.slot} holds another bundle than the one installed into it")
        return bundle

    def _replace(self, model: BoardModel | None) -> None:
        former, self._live = self._live, model
        if former is not None:
            former.closed = True


def _fell_back(info: BoardInfo, slot: Slot) -> BoardFellBack | SelfTestMismatch:
    verdict = info.slots[slot].verdict
    if verdict is Verdict.SELFTEST:
        return SelfTestMismatch(f"the board's own self-test of slot {slot} failed; it runs {info.running or 'nothing'}")
    return BoardFellBack(
        f"the board gave slot {slot} up ({verdict.name}, {info.last_cause.name}); it runs {info.running or 'nothing'}"
    )
