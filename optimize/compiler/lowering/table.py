"""The type of a lowering; apart from the table itself so that each family can name it."""

from __future__ import annotations

from collections.abc import Callable

from optimize.compiler.ir import Op, Tensor
from optimize.compiler.kernels import KernelCall

Lowering = Callable[[Op, tuple[Tensor, ...], Tensor], KernelCall]
"""(operator, its inputs, its first output) -> the kernel call."""
