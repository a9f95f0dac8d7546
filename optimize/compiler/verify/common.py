"""The type of a rule, and the rules several operators share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optimize.compiler.ir import Tensor

Operands = tuple[Tensor, ...]

Rule = Callable[[Any, Operands, Operands], str]
"""(payload, inputs, outputs) -> what is wrong with them, "" for nothing."""


def same_elements(payload: Any, inputs: Operands, outputs: Operands) -> str:
    """As many values out as in."""
    if inputs[0].elements != outputs[0].elements:
        return f"{inputs[0].elements} values in, {outputs[0].elements} values out"
    return ""


def same_shape(payload: Any, inputs: Operands, outputs: Operands) -> str:
    """The output has the input's shape."""
    if inputs[0].shape != outputs[0].shape:
        return f"input {list(inputs[0].shape)}, output {list(outputs[0].shape)}"
    return ""


def sizes(*expected: tuple[int, int]) -> str:
    """What is wrong with (actual, touched) sizes in bytes."""
    wrong = [f"{actual} bytes where the kernel touches {wanted}" for actual, wanted in expected if actual != wanted]
    return "; ".join(wrong)
