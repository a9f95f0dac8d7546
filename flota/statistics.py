"""Intervals for measured shares: the one place that knows how sure a test accuracy is."""

from __future__ import annotations

import math

_Z_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution


def wilson_interval(successes: int, count: int) -> tuple[float, float]:
    """The 95 % score interval of a share (E. B. Wilson, 1927), inside [0, 1] even for all or none.

    Args:
        successes: Cases that were right, 0 to ``count``.
        count: Cases in all, at least 1.

    Raises:
        ValueError: The arguments are not such numbers.
    """
    if count < 1 or not 0 <= successes <= count:
        raise ValueError(f"{successes} of {count} is not a share")
    share, z_squared = successes / count, _Z_95 * _Z_95
    centre = (share + z_squared / (2 * count)) / (1 + z_squared / count)
    spread = share * (1 - share) / count + z_squared / (4 * count * count)
    half = _Z_95 * math.sqrt(spread) / (1 + z_squared / count)
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == count else min(1.0, centre + half)
    return low, high
