"""Instructions, counted, and Cortex-M4 cycles, modelled, of anything that runs on an emulated Arm board.

A QEMU TCG plugin (``plugin.c``) sees every executed instruction and charges it by the processor's timing table at zero
wait states (``cortex_m4.c``). Cycles are a model of a Cortex-M4, never a measurement: say «modelled» wherever they
show.
"""

from hil.cycles.counts import Cost, Passage, parse_counts
from hil.cycles.plugin import CyclesPlugin, Region, build_plugin

__all__ = ["Cost", "CyclesPlugin", "Passage", "Region", "build_plugin", "parse_counts"]
