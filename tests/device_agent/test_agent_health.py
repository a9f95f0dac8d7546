"""Verdicts of a probation."""

from __future__ import annotations

import pytest

from device_agent.backoff import Backoff
from device_agent.health import Window, judge, quantile
from flota.messages import HealthLimits


def window(costs: list[float], *, errors: int = 0, mismatches: int = 0, unit: str = "ms") -> Window:
    subject = Window(unit=unit)
    for number, cost in enumerate(costs):
        subject.probed(cost, matches=number >= mismatches)
    for _ in range(errors):
        subject.count(error="broken")
    return subject


EASY = HealthLimits(min_inferences=20)


def test_healthy_only_when_time_is_over_and_enough_was_seen() -> None:
    assert judge(window([1.0] * 100), EASY, None, over=False) is None
    assert judge(window([1.0] * 10), EASY, None, over=True) is None
    verdict = judge(window([1.0] * 20), EASY, None, over=True)
    assert verdict is not None
    assert not verdict.code


def test_a_wrong_output_is_bad_at_once() -> None:
    verdict = judge(window([1.0], mismatches=1), EASY, None, over=False)
    assert verdict is not None
    assert verdict.code == "health.outputs"


def test_errors_are_judged_as_soon_as_they_cannot_be_made_up_for() -> None:
    half = HealthLimits(min_inferences=20, max_error_rate=0.5)
    assert judge(window([], errors=10), half, None, over=False) is None
    verdict = judge(window([], errors=11), half, None, over=False)
    assert verdict is not None
    assert verdict.code == "health.errors"
    assert "broken" in verdict.detail


@pytest.mark.parametrize(
    ("costs", "over", "code"),
    [
        ([3.0] * 29, False, None),  # too few to be sure
        ([3.0] * 30, False, "health.latency"),
        ([1.0] * 10 + [9.0] * 20, False, None),  # the quickest quarter is fine: wait
        ([1.0] * 10 + [9.0] * 20, True, "health.latency"),  # the median is not
        ([1.9] * 30, True, ""),
    ],
)
def test_latency_against_the_version_before(costs: list[float], over: bool, code: str | None) -> None:
    verdict = judge(window(costs), HealthLimits(max_latency_ratio=2.0), 1.0, over=over)
    assert (verdict.code if verdict else None) == code


def test_counted_instructions_need_few_probes_and_are_no_milliseconds() -> None:
    limits = HealthLimits(max_latency_ratio=2.0, max_latency_ms=0.001)
    verdict = judge(window([5000.0] * 4, unit="instructions"), limits, 1000.0, over=False)
    assert verdict is not None
    assert verdict.code == "health.latency"
    assert "ms" not in verdict.detail
    assert judge(window([1000.0] * 4, unit="instructions"), limits, 1000.0, over=False) is None


def test_without_a_version_before_the_ratio_is_not_judged() -> None:
    verdict = judge(window([50.0] * 30), HealthLimits(max_latency_ratio=1.1), None, over=True)
    assert verdict is not None
    assert not verdict.code


def test_quantiles_by_nearest_rank() -> None:
    assert [quantile([4, 1, 3, 2], share) for share in (0.0, 0.25, 0.5, 0.95, 1.0)] == [1, 1, 2, 4, 4]
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)


def test_backoff_grows_to_its_cap_and_starts_over() -> None:
    backoff = Backoff(first_s=1.0, cap_s=8.0)
    delays = [backoff.next() for _ in range(50)]
    assert max(delays) <= 8.0
    assert min(delays) >= 0.05
    backoff.reset()
    assert backoff.next() <= 1.0
