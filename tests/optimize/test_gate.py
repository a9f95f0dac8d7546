from __future__ import annotations

import pytest

from flota.statistics import wilson_interval
from flota.workspace import Gates, TestResult
from optimize.gate import GateFailed, check_accuracy

GATES = Gates(min_accuracy=0.9, max_accuracy_loss=0.02)


def result(correct: int, count: int = 100) -> TestResult:
    low, high = wilson_interval(correct, count)
    return TestResult(correct=correct, count=count, accuracy=correct / count, low=low, high=high)


@pytest.mark.parametrize(("measured", "trained"), [(96, 98), (98, 98), (99, 98), (90, 92)])
def test_up_to_the_limit_a_model_passes(measured: int, trained: int) -> None:
    check_accuracy(result(measured), result(trained), GATES, runtime="TFLM")


def test_a_loss_over_the_limit_names_both_accuracies() -> None:
    with pytest.raises(GateFailed) as caught:
        check_accuracy(result(95), result(98), GATES, runtime="TFLM")
    assert "95.00% (95 of 100) on TFLM, 3.00% less than float (98.00%); 2.00% are allowed" in caught.value.message
    assert "--max-accuracy-loss" in caught.value.hint


def test_an_accuracy_under_the_recipes_is_refused_even_without_a_loss() -> None:
    with pytest.raises(GateFailed, match=r"the recipe asks for 90\.00%"):
        check_accuracy(result(89), result(89), GATES, runtime="LiteRT")
