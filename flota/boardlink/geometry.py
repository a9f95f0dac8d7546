"""The geometry of a microcontroller board: ``firmware/boards/<name>/board.toml``, read and checked."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

import flota
from flota.errors import ConfigError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FIRMWARE_FOLDER = Path(flota.__file__).parent.parent / "firmware"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Compiler(_Table):
    """How code for the board's processor is compiled.

    Attributes:
        cpu: Options that name the processor.
        core: Which kernels ``optimize`` may choose for it (``optimize/compiler/cores.py``).
        shared: Folders of ``firmware/boards`` whose sources belong to this port too.
    """

    cpu: tuple[str, ...]
    core: str = "portable"
    shared: tuple[str, ...] = ()


class Memory(_Table):
    """Addresses and sizes in bytes of what is not flash."""

    code_base: int = Field(ge=0)
    code_bytes: int = Field(gt=0)
    ram_base: int = Field(ge=0)
    ram_bytes: int = Field(gt=0)
    stack_bytes: int = Field(gt=0, multiple_of=32)
    arena_bytes: int = Field(gt=0, multiple_of=32)
    retained_bytes: int = Field(gt=0, multiple_of=32)


class Layout(_Table):
    """Offsets in bytes from the start of the flash."""

    factory_offset: int = Field(ge=0)
    state_offset: int = Field(ge=0)
    slot_a_offset: int = Field(ge=0)
    slot_b_offset: int = Field(ge=0)
    slot_bytes: int = Field(gt=0)


class Flash(_Table):
    """The flash and how it is erased and programmed. Sizes in bytes."""

    base: int = Field(ge=0)
    bytes: int = Field(gt=0)
    sector_bytes: int = Field(gt=0)
    program_bytes: int = Field(gt=0)
    layout: Layout


class Timing(_Table):
    """Clocks and time limits, in the board's own time."""

    clock_hz: int = Field(gt=0)
    instructions_per_tick: int = Field(ge=0)
    watchdog_ms: int = Field(gt=0)
    probation_ms: int = Field(gt=0)
    crash_limit: int = Field(gt=0)


class BoardGeometry(_Table):
    """Everything Python and C must agree on about a board's memory."""

    name: str = Field(pattern=r"^[a-z0-9-]{1,31}$")
    description: str
    emulated: bool
    compiler: Compiler
    memory: Memory
    flash: Flash
    timing: Timing

    @model_validator(mode="after")
    def _regions(self) -> BoardGeometry:
        layout, sector = self.flash.layout, self.flash.sector_bytes
        regions = sorted(
            [
                (layout.factory_offset, sector),
                (layout.state_offset, 2 * sector),
                (layout.slot_a_offset, layout.slot_bytes),
                (layout.slot_b_offset, layout.slot_bytes),
            ]
        )
        end = 0
        for offset, size in regions:
            if offset < end or offset % sector or size % sector:
                raise ValueError(f"flash region at {offset:#x} overlaps another one or is not whole sectors")
            end = offset + size
        if end > self.flash.bytes:
            raise ValueError("flash regions do not fit the flash")
        return self

    @property
    def folder(self) -> Path:
        """The board's port: ``firmware/boards/<name>``."""
        return FIRMWARE_FOLDER / "boards" / self.name

    @property
    def source_folders(self) -> tuple[Path, ...]:
        """Where the port's sources are: its own folder, then the shared ones."""
        return (self.folder, *(FIRMWARE_FOLDER / "boards" / name for name in self.compiler.shared))

    def slot_offset(self, slot: str) -> int:
        """Offset in bytes of slot ``"A"`` or ``"B"`` from the start of the flash."""
        return self.flash.layout.slot_a_offset if slot == "A" else self.flash.layout.slot_b_offset

    def slot_address(self, slot: str) -> int:
        """Address at which an image in ``slot`` begins (with its signature)."""
        return self.flash.base + self.slot_offset(slot)


def board_names() -> list[str]:
    """The boards there is firmware for."""
    return sorted(path.parent.name for path in (FIRMWARE_FOLDER / "boards").glob("*/board.toml"))


def find_geometry(board: str) -> BoardGeometry:
    """The geometry of ``board``.

    Raises:
        UsageError: There is no firmware for such a board.
        ConfigError: Its ``board.toml`` is not valid.
    """
    if board not in board_names():
        near = difflib.get_close_matches(board, board_names(), n=1)
        known = f"did you mean {near[0]}?" if near else f"there is firmware for: {', '.join(board_names()) or 'none'}"
        raise UsageError(f"there is no firmware for a board {board!r}", hint=known)
    path = FIRMWARE_FOLDER / "boards" / board / "board.toml"
    try:
        return BoardGeometry.model_validate(tomllib.loads(path.read_text()))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise ConfigError(f"board.toml of {board}: {str(error).splitlines()[0]}", hint="repair that file") from error
