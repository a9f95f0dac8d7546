"""How a version is doing: counters, latencies, and the verdict of a probation. No clock in here.

A probe replays a golden input; its cost is in the installer's unit (milliseconds on Linux, instructions on an emulated
board), and only ratios of the same unit are formed. Real traffic counts for errors, not for the latency ratio, because
the version before it did not see the same traffic.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from flota.messages import HealthLimits

BASELINE_PROBES = 30
"""Probes that a baseline is the median of, at least."""

EARLY_PROBES = {"ms": 30, "instructions": 4}
"""Probes from which a latency may be called bad before probation is over; counted instructions hardly vary."""

MAX_COSTS = 5000


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a probation: healthy where ``code`` is empty."""

    code: str = ""
    detail: str = ""


@dataclass(slots=True)
class Window:
    """What was seen of one version since it began to serve.

    ``costs``: of the latest probes, in ``unit``; ``latencies_ms``: of the latest inferences, as this machine saw them.
    """

    unit: str = "ms"
    inferences: int = 0
    errors: int = 0
    mismatches: int = 0
    last_error: str = ""
    costs: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_COSTS))
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_COSTS))

    def count(self, *, error: str = "") -> None:
        """Count one inference; ``error`` says what went wrong with it."""
        self.inferences += 1
        if error:
            self.errors += 1
            self.last_error = error

    def probed(self, cost: float, *, matches: bool) -> None:
        """Count one probe that gave an output."""
        self.count()
        self.costs.append(cost)
        if not matches:
            self.mismatches += 1


def quantile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` (0..1) of the sorted values do not exceed (nearest rank).

    Raises:
        ValueError: No values.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def judge(window: Window, limits: HealthLimits, baseline: float | None, *, over: bool) -> Verdict | None:
    """The verdict on a version, or None while it cannot be known.

    Bad is said as soon as it is certain: more errors than the limit allows however the rest goes, a wrong output, or a
    latency that even the quickest quarter of the probes breaks. Good is said when probation is ``over`` and
    ``min_inferences`` were seen.

    Args:
        window: What was seen.
        limits: What the assignment allows.
        baseline: Median probe cost of the version before, in the same unit; None: there is none to compare with.
        over: Whether the time of probation is over.
    """
    if window.mismatches:
        return Verdict("health.outputs", f"{window.mismatches} golden outputs differ")
    return _errors(window, limits) or _latency(window, limits, baseline, over=over) or _good(window, limits, over=over)


def _errors(window: Window, limits: HealthLimits) -> Verdict | None:
    rate = window.errors / max(window.inferences, limits.min_inferences)
    if not window.errors or rate <= limits.max_error_rate:
        return None
    return Verdict("health.errors", f"{window.errors} of {window.inferences} inferences failed: {window.last_error}")


def _latency(window: Window, limits: HealthLimits, baseline: float | None, *, over: bool) -> Verdict | None:
    if not window.costs:
        return None
    if not over and len(window.costs) < EARLY_PROBES.get(window.unit, 1):
        return None
    value = median(window.costs) if over else quantile(window.costs, 0.25)
    unit = window.unit
    if limits.max_latency_ms is not None and unit == "ms" and value > limits.max_latency_ms:
        return Verdict("health.latency", f"{value:.3g} ms, the limit is {limits.max_latency_ms:g} ms")
    if limits.max_latency_ratio is not None and baseline and value > limits.max_latency_ratio * baseline:
        ratio = value / baseline
        return Verdict(
            "health.latency",
            f"{ratio:.2f} times the version before ({value:.6g} and {baseline:.6g} {unit}), "
            f"the limit is {limits.max_latency_ratio:g}",
        )
    return None


def _good(window: Window, limits: HealthLimits, *, over: bool) -> Verdict | None:
    enough = window.inferences >= limits.min_inferences and len(window.costs) > 0
    return Verdict() if over and enough else None
