"""Which state to reach: off, ready (the base firmware answers), serving (a confirmed model runs).

The steps are a table; :meth:`McuStrategy.transition` walks it, so every state is reached the same way from wherever
the board is, and an undefined way fails loudly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flota.boardlink import BoardLink
from flota.image import sign_image
from hil.boards.protocols import McuProtocol
from hil.errors import BoardFailed

Progress: TypeAlias = Callable[[int, int], None]
LINK_TIMEOUT_S = 60.0


class BoardState(Enum):
    """The states of a microcontroller on the bench."""

    OFF = "off"
    READY = "ready"
    SERVING = "serving"


_NEXT: Mapping[tuple[BoardState, BoardState], BoardState] = MappingProxyType(
    {
        (BoardState.OFF, BoardState.READY): BoardState.READY,
        (BoardState.OFF, BoardState.SERVING): BoardState.READY,
        (BoardState.READY, BoardState.SERVING): BoardState.SERVING,
        (BoardState.READY, BoardState.OFF): BoardState.OFF,
        (BoardState.SERVING, BoardState.OFF): BoardState.OFF,
    }
)
"""(where the board is, where it shall be) → the state to reach next."""


class McuStrategy:
    """Brings one board into a state, and the model of a bench onto it.

    Args:
        board: Its power and serial line. The caller owns and closes it.
        key: The private half of the key that the board was provisioned with.
        link_timeout_s: How long one request may take, an inference of the largest model included.
    """

    def __init__(self, board: McuProtocol, key: Ed25519PrivateKey, *, link_timeout_s: float = LINK_TIMEOUT_S) -> None:
        self._board = board
        self._key = key
        self._link_timeout_s = link_timeout_s
        self._link: BoardLink | None = None
        self._images: Mapping[str, bytes] = {}
        self._progress: Progress | None = None
        self.state = BoardState.OFF

    @property
    def link(self) -> BoardLink:
        """The open board link.

        Raises:
            BoardFailed: The board is off.
        """
        if self._link is None:
            raise BoardFailed("the board is off", hint="bring it to READY first")
        return self._link

    def transition(self, wanted: BoardState) -> None:
        """Walk to ``wanted``; does nothing when the board is there.

        Raises:
            BoardFailed: No way leads there, or the board did not do its step.
            BoardLinkError: The board refused, or did not answer.
        """
        actions: Mapping[BoardState, Callable[[], None]] = {
            BoardState.OFF: self._switch_off,
            BoardState.READY: self._switch_on,
            BoardState.SERVING: self._serve,
        }
        while self.state is not wanted:
            step = _NEXT.get((self.state, wanted))
            if step is None:
                raise BoardFailed(f"no way from {self.state.value} to {wanted.value}")
            actions[step]()
            self.state = step

    def serve(self, images: Mapping[str, bytes], progress: Progress | None = None) -> None:
        """Put a model on the board and reach SERVING with it.

        Args:
            images: Unsigned images by slot name; the one for the slot that is not running is signed and installed.
            progress: Called with (bytes sent, bytes in all) while the image is installed.
        """
        self._images, self._progress = images, progress
        if self.state is BoardState.SERVING:
            self.state = BoardState.READY
        self.transition(BoardState.SERVING)

    def _switch_on(self) -> None:
        self._board.start()
        self._link = BoardLink(self._board.port, timeout_s=self._link_timeout_s)
        self._link.info()

    def _switch_off(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None
        self._board.power_cut()

    def _serve(self) -> None:
        if not self._images:
            raise BoardFailed("there is no model to serve", hint="give the images first")
        slot = self.link.info().inactive_slot
        image = self._images.get(slot)
        if image is None:
            raise BoardFailed(f"no image for slot {slot}", hint="give images for both slots")
        self.link.install(sign_image(image, self._key), self._progress)
        after = self.link.activate(slot)
        if after.running != slot:
            raise BoardFailed(
                f"the board gave slot {slot} up at boot: {after.last_verdict.name.lower()}",
                hint="the model crashed or failed its self-test on the board",
            )
        self.link.confirm()
