"""Two slots on disk and the pointer to the one that serves.

``slots/A.flota`` and ``slots/B.flota`` hold one bundle each, ``slots/current`` holds the letter of the active one.
Every change is one atomic replace, so after any crash each slot holds its old bundle or its new one, and the pointer
names one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from device_agent.errors import SlotError
from device_agent.state import Slot
from flota import bundle as bundles
from flota.bundle import Bundle
from flota.errors import FlotaError, StorageError
from flota.files import sync_folder, write_atomic

SLOTS: tuple[Slot, ...] = ("A", "B")


def other(slot: Slot) -> Slot:
    """The slot that is not ``slot``."""
    return "B" if slot == "A" else "A"


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots in one folder."""

    folder: Path

    def path(self, slot: Slot) -> Path:
        """The bundle file of a slot; it may not exist."""
        return self.folder / f"{slot}.flota"

    def current(self) -> Slot | None:
        """The active slot; None when nothing was ever activated, or the pointer is unreadable."""
        try:
            text = (self.folder / "current").read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return next((slot for slot in SLOTS if slot == text), None)

    def point_to(self, slot: Slot | None) -> None:
        """Make ``slot`` the active one; None: no slot is.

        Raises:
            StorageError: The pointer cannot be written; the former one stays.
        """
        write_atomic(self.folder / "current", f"{slot or '-'}\n".encode())

    def install(self, slot: Slot, source: Path) -> None:
        """Move the verified bundle file ``source`` into ``slot``; done already if ``source`` is gone.

        Raises:
            SlotError: ``source`` is gone and the slot is empty.
            StorageError: The file cannot be moved; the slot keeps what it had.
        """
        target = self.path(slot)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            source.replace(target)
            sync_folder(self.folder)
        except FileNotFoundError as error:
            if not target.exists():
                raise SlotError(f"slot {slot} is empty and there is nothing to install") from error
        except OSError as error:
            raise StorageError(
                f"{target}: {error.strerror or error}", hint="check free space and permissions"
            ) from error

    def read(self, slot: Slot) -> Bundle:
        """The verified bundle in a slot.

        Raises:
            SlotError: It is empty, unreadable or damaged.
        """
        try:
            return bundles.read(self.path(slot))
        except FlotaError as error:
            raise SlotError(f"slot {slot}: {error.message}", hint="assign a version again to repair it") from error
