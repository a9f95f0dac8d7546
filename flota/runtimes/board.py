"""A model on a microcontroller, run over the board link."""

from __future__ import annotations

from flota.boardlink.client import BoardLink, InferResult
from flota.boardlink.errors import BoardLinkError
from flota.runtimes.base import RuntimeFailure


class BoardRuntime:
    """The image that runs on the board behind ``link``; the link stays open when this is closed.

    Args:
        link: An open board link.

    Raises:
        RuntimeFailure: No model runs on the board, or it does not answer.
    """

    def __init__(self, link: BoardLink) -> None:
        self._link: BoardLink | None = link
        self.last: InferResult | None = None
        try:
            info = link.info()
        except BoardLinkError as error:
            raise RuntimeFailure(error.message, hint=error.hint) from error
        if info.running is None:
            raise RuntimeFailure(f"no model runs on {info.board}", hint="install an image and activate it")
        self._input_bytes = info.input_bytes
        self._fresh = False

    def infer(self, inputs: bytes) -> bytes:
        """See :class:`flota.runtimes.base.Runtime`. ``last`` keeps the instructions and the stack it took."""
        if self._link is None:
            raise RuntimeFailure("the runtime is closed")
        if len(inputs) != self._input_bytes:
            raise RuntimeFailure(f"input has {len(inputs)} bytes, {self._input_bytes} expected")
        try:
            self.last = self._link.infer(inputs, fresh=self._fresh)
        except BoardLinkError as error:
            raise RuntimeFailure(error.message, hint=error.hint) from error
        self._fresh = False
        return self.last.output

    def reset(self) -> None:
        """See :class:`flota.runtimes.base.Runtime`. It takes effect with the next case."""
        if self._link is None:
            raise RuntimeFailure("the runtime is closed")
        self._fresh = True

    def close(self) -> None:
        """See :class:`flota.runtimes.base.Runtime`."""
        self._link = None
