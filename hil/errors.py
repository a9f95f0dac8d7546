"""What can go wrong on a bench. Every error is one sentence with a hint."""

from __future__ import annotations

from flota.errors import FlotaError


class HilError(FlotaError):
    """Base of the errors of boards and benches."""

    code = "hil.error"


class UnknownBoard(HilError):
    """No board of that name."""

    code = "board.unknown"
    exit_code = 2


class BoardFailed(HilError):
    """The board (or its emulator) did not start, or stopped by itself."""

    code = "board.failed"


class FlashUnusable(HilError):
    """The file that holds the board's flash has another size, or another board runs on it."""

    code = "board.flash"


class PortInUse(HilError):
    """The TCP port asked for is taken."""

    code = "board.port-in-use"


class BenchFailed(HilError):
    """The bench could not be finished; there is no report."""

    code = "bench.failed"


class WrongOutput(HilError):
    """The board ran, and gave other bytes than it must."""

    code = "bench.wrong-output"


class CountsInvalid(HilError):
    """The cycle counter's file is missing, cut short or not as it must be."""

    code = "cycles.counts-invalid"


class BareFailed(HilError):
    """A program on the bare board did not do what it must: it stopped, took too long, or gave half an answer."""

    code = "bare.failed"


class ReportInvalid(HilError):
    """A file is not a bench report of ours."""

    code = "bench.report-invalid"
