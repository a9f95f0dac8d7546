"""The processor families the compiler has kernels for."""

from __future__ import annotations

from dataclasses import dataclass

from optimize.errors import UnknownCore


@dataclass(frozen=True, slots=True)
class Core:
    """One family; ``name`` is what ``compile_tflite(core=…)`` takes."""

    name: str
    description: str


PORTABLE = Core("portable", "any processor with a C99 compiler")
CORTEX_M4 = Core("cortex-m4", "Arm with the DSP extension: Cortex-M4, Cortex-M7, Cortex-M33 with DSP")
CORTEX_M55 = Core("cortex-m55", "Arm with the Helium vector extension: Cortex-M55, Cortex-M85")

CORES: dict[str, Core] = {core.name: core for core in (PORTABLE, CORTEX_M4, CORTEX_M55)}


def find_core(name: str) -> Core:
    """The core of that name.

    Raises:
        UnknownCore: there is none.
    """
    if name not in CORES:
        raise UnknownCore(f"no kernels for a core {name!r}", hint=f"choose one of {', '.join(CORES)}")
    return CORES[name]
