"""Measure an inference engine by itself: a bare program on an emulated machine, nothing around it.

Instructions are counted, cycles modelled (see :mod:`hil.cycles`), RAM and flash are less an empty harness's.
"""

from hil.bare.build import Engine, SourceFile
from hil.bare.flota_engine import OPERATORS, ModelFiles, flota_engine
from hil.bare.image_engine import image_engine
from hil.bare.machines import MACHINES, BareMachine, find_machine
from hil.bare.run import BareReport, BareRun, Inference, measure_bare

__all__ = [
    "MACHINES",
    "OPERATORS",
    "BareMachine",
    "BareReport",
    "BareRun",
    "Engine",
    "Inference",
    "ModelFiles",
    "SourceFile",
    "find_machine",
    "flota_engine",
    "image_engine",
    "measure_bare",
]
