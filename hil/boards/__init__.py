"""Boards: which exist (resources), how each is driven (drivers) and which state to reach (strategy)."""

from hil.boards.qemu import QemuBoard
from hil.boards.resources import BOARDS, Board, EmulatedMcu, LinuxHost, find_board

__all__ = ["BOARDS", "Board", "EmulatedMcu", "LinuxHost", "QemuBoard", "find_board"]
