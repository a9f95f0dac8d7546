"""The emulated machines that bare programs run on, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hil.errors import UnknownBoard


@dataclass(frozen=True, slots=True)
class BareMachine:
    """A machine, its memory (addresses and bytes) and the compiler's options for its processor.

    Attributes:
        board: Its name, as boards are called everywhere.
        program: The QEMU that has it.
        machine: QEMU's name of it.
        core: Its processor.
        cpu: GCC options.
        cores: Whose kernels run on it (names of ``optimize/compiler/cores.py``).
        models_cycles: Whether the timing table of ``hil.cycles`` is this processor's.
    """

    board: str
    program: str
    machine: str
    core: str
    cpu: tuple[str, ...]
    code_base: int
    code_bytes: int
    ram_base: int
    ram_bytes: int
    models_cycles: bool
    cores: tuple[str, ...]
    stack_bytes: int = 0x10000

    @property
    def defines(self) -> tuple[str, ...]:
        """The numbers of the linker script."""
        names = ("code_base", "code_bytes", "ram_base", "ram_bytes", "stack_bytes")
        return tuple(f"-DBARE_{name.upper()}={getattr(self, name):#x}" for name in names)


MACHINES: Mapping[str, BareMachine] = MappingProxyType(
    {
        machine.board: machine
        for machine in (
            BareMachine(
                board="qemu-mps2-an386",
                program="qemu-system-arm",
                machine="mps2-an386",
                core="Arm Cortex-M4F",
                cpu=("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
                code_base=0x00000000,  # ZBT SSRAM1
                code_bytes=0x00400000,
                ram_base=0x20000000,  # ZBT SSRAM2/3
                ram_bytes=0x00400000,
                models_cycles=True,
                cores=("portable", "cortex-m4"),
            ),
            BareMachine(
                board="qemu-mps3-an547",
                program="qemu-system-arm",
                machine="mps3-an547",
                core="Arm Cortex-M55",
                cpu=("-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"),
                code_base=0x00000000,  # ITCM
                code_bytes=0x00080000,
                ram_base=0x21000000,  # internal SRAM, both banks
                ram_bytes=0x00400000,
                models_cycles=False,
                cores=("portable", "cortex-m4", "cortex-m55"),
            ),
        )
    }
)


def find_machine(board: str) -> BareMachine:
    """The machine of a board.

    Raises:
        UnknownBoard: Bare programs do not run there.
    """
    machine = MACHINES.get(board)
    if machine is None:
        raise UnknownBoard(f"bare programs do not run on {board!r}", hint=f"use one of: {', '.join(MACHINES)}")
    return machine
