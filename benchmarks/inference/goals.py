"""What the project set out to reach on the four MLPerf Tiny models, on a Cortex-M4F (issue 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flota.files import sha256_hex

BOARD = "qemu-mps2-an386"
"""The board the goals were set for."""


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A published model, told by the bytes of its file, and upper bounds by figure."""

    name: str
    sha256: str
    goals: Mapping[str, int]


def _goals(instructions: int, cycles_modelled: int, ram_bytes: int, flash_bytes: int) -> dict[str, int]:
    return {
        "instructions": instructions,
        "cycles_modelled": cycles_modelled,
        "ram_bytes": ram_bytes,
        "flash_bytes": flash_bytes,
    }


MLPERF_TINY = (
    KnownModel(
        "kws",
        "aeea436800704fce17b17292e4412630ad856e9d777c044c64ef748a880bd0ae",
        _goals(3_600_000, 4_500_000, 11_000, 42_000),
    ),
    KnownModel(
        "ic",
        "3c002613d1b2475eb51dd78dfb85a546c8ae658dee71cf6ade43b022fe205415",
        _goals(14_500_000, 18_000_000, 38_000, 100_000),
    ),
    KnownModel(
        "vww",
        "597a384c8c2c8a1276f04702f25013b7838f2f814f1ca7c174d295b73e3d6b7b",
        _goals(10_800_000, 12_500_000, 62_000, 245_000),
    ),
    KnownModel(
        "ad",
        "87cf24194ef93d1d9b11a591d805526b98008e351655d29883c825c9c106ba24",
        _goals(420_000, 500_000, 1_700, 274_000),
    ),
)


def goals_of(model: bytes, board: str) -> Mapping[str, int]:
    """The bounds for the bytes of a model file on a board; empty where none were set."""
    digest = sha256_hex(model)
    if board != BOARD:
        return {}
    return next((known.goals for known in MLPERF_TINY if known.sha256 == digest), {})
