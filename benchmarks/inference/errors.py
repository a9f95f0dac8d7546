"""What can go wrong in a comparison of engines; a refusal is one row, never the end of the run."""

from __future__ import annotations

from flota.errors import FlotaError


class BenchmarkError(FlotaError):
    """Base of the errors of the benchmark."""

    code = "benchmark.error"


class Refused(BenchmarkError):
    """An engine (or the reference) does not take this model; the message is the one-line reason."""

    code = "benchmark.refused"


class EngineBroken(BenchmarkError):
    """An engine that is there cannot be used: its library, its Python or its output is not what it should be."""

    code = "benchmark.engine"
