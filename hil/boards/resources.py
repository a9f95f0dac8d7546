"""What exists: the boards a bench can use, as plain data. Nothing here starts or talks to anything.

A driver (:mod:`hil.boards.qemu`) turns a resource into something that runs; a strategy (:mod:`hil.boards.strategy`)
brings a driver into a wanted state. The three change for different reasons, so they are three modules.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from hil.errors import UnknownBoard


@dataclass(frozen=True, slots=True)
class EmulatedMcu:
    """A microcontroller board that QEMU emulates.

    Attributes:
        machine: QEMU's name of the machine.
        flash_backend: The machine's memory backend that a file holds; it is the board's flash and survives a kill.
            The flash's size, and every other address, is in the firmware's ``board.toml``.
        backend_bytes: The size QEMU wants that backend to have, where it is more than the flash; None where it is not.
            The flash is the beginning of the file; the rest is a hole that takes no space.
    """

    name: str
    summary: str
    program: str
    machine: str
    cpu: str
    flash_backend: str
    targets: tuple[str, ...]
    backend_bytes: int | None = None

    @property
    def emulated(self) -> bool:
        """Always true: figures of this board are counted, never timed."""
        return True


@dataclass(frozen=True, slots=True)
class LinuxHost:
    """The machine this runs on."""

    name: str
    summary: str
    targets: tuple[str, ...]

    @property
    def emulated(self) -> bool:
        """Always false: figures of this board are measured on it."""
        return False


Board: TypeAlias = EmulatedMcu | LinuxHost

BOARDS: Mapping[str, Board] = MappingProxyType(
    {
        "qemu-mps2-an386": EmulatedMcu(
            name="qemu-mps2-an386",
            summary="Arm MPS2+ AN386 (Cortex-M4F), emulated by QEMU; instructions are counted, time is not measured",
            program="qemu-system-arm",
            machine="mps2-an386",
            cpu="Arm Cortex-M4F",
            flash_backend="psram",
            targets=("cortex-m4f-aot",),
        ),
        "qemu-mps3-an547": EmulatedMcu(
            name="qemu-mps3-an547",
            summary="Arm MPS3 AN547 (Cortex-M55, Helium), emulated by QEMU; instructions are counted, no time implied",
            program="qemu-system-arm",
            machine="mps3-an547",
            cpu="Arm Cortex-M55",
            flash_backend="ddr",
            targets=("cortex-m55-aot",),
            backend_bytes=2 << 30,
        ),
        "host": LinuxHost(
            name="host",
            summary="this Linux machine; milliseconds are measured",
            targets=("linux-litert", "cortex-m4f-tflm"),
        ),
    }
)


def find_board(name: str) -> Board:
    """The board called ``name``.

    Raises:
        UnknownBoard: There is none; the hint names the nearest one, or all.
    """
    board = BOARDS.get(name)
    if board is None:
        near = difflib.get_close_matches(name, BOARDS, n=1)
        known = f"did you mean {near[0]}?" if near else f"known boards: {', '.join(BOARDS)}"
        raise UnknownBoard(f"there is no board {name!r}", hint=known)
    return board
