"""The gates a quantized model must pass before anything is written."""

from __future__ import annotations

from flota.workspace import Gates, TestResult
from optimize.errors import OptimizeError


class GateFailed(OptimizeError):
    """A measured value is outside what the recipe allows; nothing was written."""

    code = "optimize.gate-failed"


def check_accuracy(measured: TestResult, trained: TestResult, gates: Gates, *, runtime: str) -> None:
    """Hold the accuracy on ``runtime`` against the recipe's gates.

    Raises:
        GateFailed: It lost more against the float network than allowed, or is too low.
    """
    lost = trained.accuracy - measured.accuracy
    share = f"{measured.accuracy:.2%} ({measured.correct} of {measured.count}) on {runtime}"
    # Both sides are shares computed in floating point; a difference below this is none.
    slack = 1e-9
    if lost > gates.max_accuracy_loss + slack:
        raise GateFailed(
            f"int8 accuracy is {share}, {lost:.2%} less than float ({trained.accuracy:.2%}); "
            f"{gates.max_accuracy_loss:.2%} are allowed",
            hint="train longer, change the network, or allow more with --max-accuracy-loss",
        )
    if measured.accuracy < gates.min_accuracy - slack:
        raise GateFailed(
            f"int8 accuracy is {share}; the recipe asks for {gates.min_accuracy:.2%}",
            hint="train longer or change the network in the recipe",
        )
