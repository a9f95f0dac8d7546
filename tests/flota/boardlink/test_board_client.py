"""The client against a line that loses, repeats and garbles; a pseudo-terminal plays the board."""

from __future__ import annotations

import os
import threading
import tty
from collections.abc import Callable, Iterator

import pytest

from flota.boardlink import BoardLink, BoardLinkError, BoardRefused, LinkTimeout, PortUnavailable
from flota.boardlink.frames import Frame, decode_frame, encode_frame
from flota.boardlink.protocol import Command, FrameType, Status

Answer = Callable[[Frame, int], bytes]


class FakeLine:
    """The board's end of a line: `answer(frame, how many frames came before)` gives the bytes to send."""

    def __init__(self) -> None:
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        self.port = os.ttyname(self._theirs)
        self.seen: list[Frame] = []
        self.answer: Answer = lambda frame, count: b""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        buffer = b""
        while True:
            try:
                buffer += os.read(self._ours, 4096)
            except OSError:
                return
            *frames, buffer = buffer.split(b"\0")
            for raw in filter(None, frames):
                frame = decode_frame(raw)
                self.seen.append(frame)
                os.write(self._ours, self.answer(frame, len(self.seen) - 1))

    def close(self) -> None:
        os.close(self._theirs)
        self._thread.join(5)
        os.close(self._ours)


@pytest.fixture
def line() -> Iterator[FakeLine]:
    fake = FakeLine()
    yield fake
    fake.close()


def right(frame: Frame, body: bytes = (2).to_bytes(4, "little"), status: int = 0) -> bytes:
    return encode_frame(Frame(FrameType.RESPONSE, frame.command, frame.request_id, body, status))


def test_a_lost_answer_is_asked_for_again_with_the_same_request(line: FakeLine) -> None:
    line.answer = lambda frame, count: right(frame) if count else b""
    with BoardLink(line.port, timeout_s=4) as link:
        assert link.selftest() == 2
    assert line.seen[0] == line.seen[1]


def test_garbage_and_old_answers_are_skipped(line: FakeLine) -> None:
    def answer(frame: Frame, count: int) -> bytes:
        old = encode_frame(Frame(FrameType.RESPONSE, frame.command, (frame.request_id + 9) % 65536, b"\\9\0\0\0"))
        broken = bytearray(right(frame))
        broken[4] ^= 0x40
        return b"\x01\x02\x03" + old + bytes(broken) + right(frame)

    line.answer = answer
    with BoardLink(line.port, timeout_s=4) as link:
        assert link.selftest() == 2


def test_noise_without_end_is_a_timeout_and_no_memory(line: FakeLine) -> None:
    line.answer = lambda frame, count: b"\x55" * 3000
    with BoardLink(line.port, timeout_s=2) as link, pytest.raises(LinkTimeout, match="SELFTEST"):
        link.selftest()


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
def test_every_refusal_has_its_code(line: FakeLine, status: Status) -> None:
    line.answer = lambda frame, count: right(frame, b"", status)
    with BoardLink(line.port, timeout_s=4) as link, pytest.raises(BoardRefused) as refused:
        link.confirm("A")
    assert refused.value.status is status
    assert refused.value.code != BoardRefused.code
    assert "CONFIRM" in refused.value.message


@pytest.mark.parametrize(("body", "status"), [(b"\1", 0), (b"", 255)])
def test_an_answer_of_another_make_is_a_clear_error(line: FakeLine, body: bytes, status: int) -> None:
    line.answer = lambda frame, count: right(frame, body, status)
    with BoardLink(line.port, timeout_s=4) as link:
        with pytest.raises(BoardLinkError):
            link.stats()
        with pytest.raises(BoardLinkError):
            link.info()


def test_a_command_that_resets_is_sent_once(line: FakeLine) -> None:
    info = bytes(112 + 2 * 48)
    line.answer = lambda frame, count: right(frame, info) if frame.command == Command.INFO else b""
    with BoardLink(line.port, timeout_s=2) as link, pytest.raises(LinkTimeout, match="RESET"):
        link.reset()
    assert [frame.command for frame in line.seen].count(Command.RESET) == 1


def test_no_port_is_a_clear_error() -> None:
    with pytest.raises(PortUnavailable, match="no-such-port"):
        BoardLink("/dev/no-such-port", timeout_s=1)
    with pytest.raises(PortUnavailable):
        BoardLink("no-such-scheme://x", timeout_s=1)
