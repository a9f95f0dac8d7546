"""Every error the optimizer and its compiler raise on purpose."""

from __future__ import annotations

from flota.errors import FlotaError


class OptimizeError(FlotaError):
    """Base of all errors of the ``optimize`` folder."""

    code = "optimize.error"


class InvalidModel(OptimizeError):
    """The bytes are not a usable ``.tflite`` file: truncated, garbled or inconsistent with themselves."""

    code = "optimize.invalid-model"


class UnsupportedOperator(OptimizeError):
    """The model is well formed but holds an operator, option or type the compiler has no code for."""

    code = "optimize.unsupported-operator"


class CompilationFailed(OptimizeError):
    """The C compiler ran and refused the generated code, or did not finish in time."""

    code = "optimize.compilation-failed"


class UnknownCore(OptimizeError):
    """There are no kernels for the named processor."""

    code = "optimize.unknown-core"
