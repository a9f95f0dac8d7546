"""Lowering of what moves values into and out of the state."""

from __future__ import annotations

from optimize.compiler.ir import Op, Tensor
from optimize.compiler.kernels_state import CopyCall
from optimize.compiler.lowering.table import Lowering
from optimize.compiler.state import Copy


def _copy(op: Op, inputs: tuple[Tensor, ...], output: Tensor) -> CopyCall:
    return CopyCall(output.bytes)


LOWERINGS: dict[type, Lowering] = {Copy: _copy}
