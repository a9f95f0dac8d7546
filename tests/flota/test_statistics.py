from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from flota.statistics import wilson_interval


@given(st.integers(1, 2000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_the_interval_is_scipys(share: tuple[int, int]) -> None:
    expected = binomtest(*share).proportion_ci(method="wilson")
    assert wilson_interval(*share) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("share", [(0, 0), (-1, 5), (6, 5)])
def test_what_is_no_share_is_refused(share: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="not a share"):
        wilson_interval(*share)
