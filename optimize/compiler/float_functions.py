"""Functions of one float32 as the interpreter's kernels compute them, to tabulate what stands between int8 and int8.

Exact where float32 arithmetic is (negation, squares, roots, rounding); exp, log, sin, cos and tanh are correctly
rounded here, while a C library may be one unit in the last place off. Sources: elementwise.cc of
tensorflow/lite/micro/kernels, and the kernels of tensorflow/lite/kernels/internal/reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from optimize.compiler.fixed_point import float32

Function = Callable[[float], float]


def _guarded(function: Function) -> Function:
    """NaN outside the domain, infinity beyond the range."""

    def evaluate(x: float) -> float:
        try:
            return float32(function(x))
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan

    return evaluate


def _log(x: float) -> float:
    return math.log(x) if x != 0.0 else -math.inf


def _hard_swish(x: float) -> float:
    return float32(x * min(6.0, max(0.0, float32(x + 3.0)))) / 6.0


def leaky(alpha: float) -> Function:
    """x above zero, else alpha * x."""
    return lambda x: x if x > 0.0 else float32(x * alpha)


FUNCTIONS: dict[str, Function] = {
    "neg": lambda x: -x,
    "square": lambda x: float32(x * x),
    "sqrt": _guarded(math.sqrt),
    "rsqrt": _guarded(lambda x: 1.0 / float32(math.sqrt(x)) if x != 0.0 else math.inf),
    "exp": _guarded(math.exp),
    "log": _guarded(_log),
    "sin": _guarded(math.sin),
    "cos": _guarded(math.cos),
    "floor": math.floor,
    "ceil": math.ceil,
    "round": lambda x: float(np.rint(x)),
    "abs": abs,
    "elu": lambda x: float32(math.expm1(x)) if x < 0.0 else x,
    "relu": lambda x: max(x, 0.0),
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "tanh": _guarded(math.tanh),
    "hard_swish": _guarded(_hard_swish),
}
"""Kind -> function from float32 to float32, both held in Python floats."""
