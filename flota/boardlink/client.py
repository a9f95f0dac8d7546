"""The host's end of the board link: typed requests, a deadline on every read, retries where they are harmless."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

import serial

from flota import image as images  # the module, not names of it: images know this package's protocol
from flota.boardlink.errors import BoardLinkError, BoardRefused, GarbledFrame, LinkTimeout, PortUnavailable
from flota.boardlink.frames import MAX_ENCODED_BYTES, Frame, decode_frame, encode_frame
from flota.boardlink.protocol import (
    ACTIVATE,
    BEGIN,
    CHUNK_BYTES,
    INFO,
    NO_SLOT,
    RUN_FRESH,
    RUN_RESULT,
    SLOT_INFO,
    STATS,
    Command,
    FrameType,
    ResetCause,
    SlotState,
    Status,
    Verdict,
)
from flota.boardlink.wire import Value

if TYPE_CHECKING:
    from flota.image import Slot

Progress = Callable[[int, int], None]
_POLL_S = 0.05
_FIRST_TRY_S = 0.5
_RESET_ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class SlotInfo:
    """One slot: its state, and the image in it (empty strings and zeros when there is none)."""

    state: SlotState
    verdict: Verdict
    model: str
    version: str
    security_counter: int
    image_bytes: int


@dataclass(frozen=True, slots=True)
class BoardInfo:
    """What the board says about itself. Sizes in bytes, times in milliseconds of the board's own clock.

    Attributes:
        running: The slot whose model runs, None when none does.
        last_slot: The slot that was last given up, with why (``last_verdict``) and after which reset (``last_cause``).
    """

    board: str
    serial: str
    firmware_version: str
    provisioned: bool
    slots: dict[Slot, SlotInfo]
    running: Slot | None
    floor: int
    reset_cause: ResetCause
    boots: int
    uptime_ms: int
    probation_left_ms: int
    arena_bytes: int
    slot_bytes: int
    input_bytes: int
    output_bytes: int
    instructions_per_tick: int
    last_slot: Slot | None
    last_verdict: Verdict
    last_cause: ResetCause

    @property
    def running_slot(self) -> SlotInfo | None:
        """The slot that runs."""
        return self.slots[self.running] if self.running else None

    @property
    def inactive_slot(self) -> Slot:
        """The slot to install the next image into."""
        return "B" if self.running == "A" else "A"


@dataclass(frozen=True, slots=True)
class InferResult:
    """One inference: output bytes, instructions executed by the model (0 = the board cannot count), stack in bytes."""

    output: bytes
    instructions: int
    stack_bytes: int


@dataclass(frozen=True, slots=True)
class BoardStats:
    """Sizes of the base firmware in bytes, and counters since the board's last boot."""

    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    stack_peak_bytes: int
    model_stack_peak_bytes: int
    arena_bytes: int
    runs: int
    frames: int
    bad_frames: int
    repeats: int
    erases: int
    programs: int
    overhead_instructions: int
    crash_address: int
    crash_status: int


class BoardLink:
    """A connection to one board. Not thread-safe; use it as a context manager or call :meth:`close`.

    Args:
        port: pyserial URL: ``/dev/ttyACM0``, ``/dev/pts/3``, ``socket://127.0.0.1:41234``.
        timeout_s: How long the board may take for one request before :class:`LinkTimeout`.

    Raises:
        PortUnavailable: The port cannot be opened; every method raises it too when the port goes away.
    """

    def __init__(self, port: str, *, timeout_s: float = 60.0) -> None:
        self._port_name = port
        self._timeout_s = timeout_s
        self._request_id = secrets.randbelow(1 << 16)
        self._buffer = bytearray()
        try:
            self._port = serial.serial_for_url(port, timeout=_POLL_S, write_timeout=timeout_s)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise _port_error(port, error) from error

    def info(self) -> BoardInfo:
        """Identity, slots and state."""
        return _board_info(self._request(Command.INFO))

    def install(self, image: bytes, progress: Progress | None = None) -> Slot:
        """Send a signed image into the slot it is linked for; the board verifies it. It does not run yet.

        Args:
            image: Signature, header and payload.
            progress: Called with (bytes sent, bytes in all).

        Raises:
            ImageError: ``image`` is no image.
            BoardRefused: The board does not take it; ``code`` says why (``image.bad-signature``, …).
        """
        slot = images.parse_image(image).slot
        self.send_image(slot, image, progress)
        return slot

    def send_image(self, slot: Slot, image: bytes, progress: Progress | None = None) -> None:
        """:meth:`install` without looking at the bytes: they are the board's to judge."""
        begin = BEGIN.pack({"slot": images.SLOTS.index(slot), "reserved": bytes(3), "image_bytes": len(image)})
        self._request(Command.BEGIN, begin)
        for offset in range(0, len(image), CHUNK_BYTES):
            piece = image[offset : offset + CHUNK_BYTES]
            self._request(Command.CHUNK, offset.to_bytes(4, "little") + piece)
            if progress is not None:
                progress(offset + len(piece), len(image))
        self._request(Command.FINISH)

    def activate(self, slot: Slot | None = None, *, probation_s: float = 0.0) -> BoardInfo:
        """Reset the board into ``slot`` (the inactive one by default) and wait until it is up again.

        Look at the answer: a board that could not run the image has gone back to the other one by itself.

        Args:
            slot: The slot to run.
            probation_s: Time to confirm in, in the board's own time; 0 takes the board's default.
        """
        chosen: Slot = slot if slot is not None else self.info().inactive_slot
        body: dict[str, Value] = {
            "slot": images.SLOTS.index(chosen),
            "reserved": bytes(3),
            "probation_ms": round(probation_s * 1000),
        }
        return self._request_reset(Command.ACTIVATE, ACTIVATE.pack(body))

    def confirm(self, slot: Slot | None = None) -> None:
        """The running image is good: keep it, and raise the floor to its security counter.

        Args:
            slot: The slot that must be running, so that an image the board has just given up is never taken for
                confirmed; the running one when None.
        """
        chosen = slot if slot is not None else self.info().running
        self._request(Command.CONFIRM, bytes([images.SLOTS.index(chosen) if chosen else NO_SLOT]))

    def rollback(self) -> BoardInfo:
        """Go back to the other confirmed image; a running image that was never confirmed becomes BAD."""
        return self._request_reset(Command.ROLLBACK)

    def reset(self) -> BoardInfo:
        """Reset the board and wait until it is up again."""
        return self._request_reset(Command.RESET)

    def infer(self, case: bytes, *, fresh: bool = False) -> InferResult:
        """Run the model once.

        Args:
            case: All input tensors' bytes, one after the other.
            fresh: Set a streaming model's state to its initial values first, so that the answer depends on this case
                alone. Otherwise the run goes on from the state that the last one left.
        """
        for offset in range(0, len(case), CHUNK_BYTES):
            self._request(Command.INPUT, offset.to_bytes(4, "little") + case[offset : offset + CHUNK_BYTES])
        result = _numbers(RUN_RESULT.unpack(self._request(Command.RUN, bytes([RUN_FRESH]) if fresh else b"")))
        output, size = b"", result["output_bytes"]
        while len(output) < size:
            count = min(CHUNK_BYTES, size - len(output))
            body = len(output).to_bytes(4, "little") + count.to_bytes(4, "little")
            output += self._request(Command.OUTPUT, body, answer_bytes=count)
        return InferResult(output, result["instructions"], result["stack_bytes"])

    def selftest(self) -> int:
        """Run the running image's golden vectors on the board; their count.

        Raises:
            BoardRefused: ``selftest.mismatch``, ``model.failed`` or ``model.none``.
        """
        return int.from_bytes(self._request(Command.SELFTEST, answer_bytes=4), "little")

    def stats(self) -> BoardStats:
        """Sizes and counters."""
        values = _numbers(STATS.unpack(self._request(Command.STATS, answer_bytes=STATS.size)))
        return BoardStats(**{name: values[name] for name in BoardStats.__dataclass_fields__})

    def erase(self, slot: Slot) -> None:
        """Empty a slot that does not run."""
        self._request(Command.ERASE, bytes([images.SLOTS.index(slot)]))

    def close(self) -> None:
        """Close the port. Calling it again does nothing."""
        self._port.close()

    def __enter__(self) -> BoardLink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _request(self, command: Command, body: bytes = b"", *, answer_bytes: int | None = None) -> bytes:
        """Ask and wait; ask again with the same id when no answer comes: the board does not do it twice.

        The first tries wait a short time only: they are for frames that were garbled, or lost in a reset. Each next
        one waits twice as long, since the board may be busy.
        """
        self._request_id = (self._request_id + 1) % (1 << 16)
        frame = Frame(FrameType.REQUEST, command, self._request_id, body)
        end = time.monotonic() + self._timeout_s
        patience_s = _FIRST_TRY_S
        while (now := time.monotonic()) < end:
            self._write(encode_frame(frame))
            answer = self._await(frame, min(end, now + patience_s))
            if answer is not None:
                return _checked(answer, command, answer_bytes)
            patience_s *= 2
        raise LinkTimeout(
            f"the board did not answer {command.name} within {self._timeout_s:g} s",
            hint="check the port and the cable, or reset the board",
        )

    def _request_reset(self, command: Command, body: bytes = b"") -> BoardInfo:
        """A request after which the board resets. It is sent once: after the reset it would mean something else."""
        before = self.info()
        self._request_id = (self._request_id + 1) % (1 << 16)
        frame = Frame(FrameType.REQUEST, command, self._request_id, body)
        self._write(encode_frame(frame))
        deadline = time.monotonic() + min(self._timeout_s, _RESET_ANSWER_S)
        answer = self._await(frame, deadline)
        if answer is not None:
            _checked(answer, command, None)
        after = self.info()
        if answer is None and after.boots == before.boots:
            raise LinkTimeout(f"the board did not do {command.name}", hint="the request was lost; ask again")
        return after

    def _await(self, request: Frame, deadline: float) -> Frame | None:
        """The answer to ``request``; None when none came by ``deadline``. Other frames and garbage are skipped."""
        while (encoded := self._next_frame(deadline)) is not None:
            try:
                frame = decode_frame(encoded)
            except GarbledFrame:
                continue
            if (frame.type, frame.command, frame.request_id) == (
                FrameType.RESPONSE,
                request.command,
                request.request_id,
            ):
                return frame
        return None

    def _next_frame(self, deadline: float) -> bytes | None:
        while True:
            head, found, rest = self._buffer.partition(b"\0")
            if found:
                self._buffer = rest
                if head:
                    return bytes(head)
                continue
            if len(self._buffer) > MAX_ENCODED_BYTES:
                self._buffer.clear()
            if time.monotonic() >= deadline:
                return None
            self._buffer += self._read()

    def _read(self) -> bytes:
        try:
            return bytes(self._port.read(max(1, self._port.in_waiting)))
        except OSError as error:
            raise _port_error(self._port_name, error) from error

    def _write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except OSError as error:
            raise _port_error(self._port_name, error) from error


def _checked(answer: Frame, command: Command, answer_bytes: int | None) -> bytes:
    try:
        status = Status(answer.status)
    except ValueError as error:
        raise BoardLinkError(f"the board answered with unknown status {answer.status}", hint="update flota") from error
    if status is not Status.OK:
        raise BoardRefused(command, status)
    if answer_bytes is not None and len(answer.body) != answer_bytes:
        raise BoardLinkError(f"the board answered {command.name} with {len(answer.body)} bytes, not {answer_bytes}")
    return answer.body


def _numbers(values: dict[str, Value]) -> dict[str, int]:
    return {name: value for name, value in values.items() if isinstance(value, int)}


def _slot_name(index: int) -> Slot | None:
    return None if index == NO_SLOT else images.SLOTS[index]


def _slot_info(data: bytes) -> SlotInfo:
    values = SLOT_INFO.unpack(data)
    number = _numbers(values)
    known = bool(values["model"])
    return SlotInfo(
        state=SlotState(number["state"]),
        verdict=Verdict(number["verdict"]),
        model=str(values["model"]),
        version=f"{number['major']}.{number['minor']}.{number['patch']}" if known else "",
        security_counter=number["security_counter"],
        image_bytes=number["image_bytes"],
    )


def _board_info(data: bytes) -> BoardInfo:
    if len(data) != INFO.size + 2 * SLOT_INFO.size:
        raise BoardLinkError(f"the board answered INFO with {len(data)} bytes", hint="update flota or the firmware")
    try:
        values = INFO.unpack(data)
        number = _numbers(values)
        slots = {
            slot: _slot_info(data[INFO.size + index * SLOT_INFO.size :]) for index, slot in enumerate(images.SLOTS)
        }
        return BoardInfo(
            board=str(values["board"]),
            serial=str(values["serial"]),
            firmware_version=".".join(str(number[f"firmware_{part}"]) for part in ("major", "minor", "patch")),
            provisioned=bool(number["provisioned"]),
            slots=slots,
            running=_slot_name(number["running"]),
            floor=number["floor"],
            reset_cause=ResetCause(number["reset_cause"]),
            boots=number["boots"],
            uptime_ms=number["uptime_ms"],
            probation_left_ms=number["probation_left_ms"],
            arena_bytes=number["arena_bytes"],
            slot_bytes=number["slot_bytes"],
            input_bytes=number["input_bytes"],
            output_bytes=number["output_bytes"],
            instructions_per_tick=number["instructions_per_tick"],
            last_slot=_slot_name(number["last_slot"]),
            last_verdict=Verdict(number["last_verdict"]),
            last_cause=ResetCause(number["last_cause"]),
        )
    except (ValueError, IndexError) as error:
        raise BoardLinkError(
            f"the board answered INFO with a value out of range: {error}", hint="update flota"
        ) from error


def _port_error(port: str, error: Exception) -> PortUnavailable:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return PortUnavailable(f"{port}: {reason}", hint="check that the board is there and no other program uses its port")
