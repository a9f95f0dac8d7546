from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flota.boardlink.protocol import STATUS_CODES, Status
from flota.boardlink.wire import WireField, WireStruct

RECORD = WireStruct(
    "t", "test", (WireField("a", "u32", ""), WireField("b", "u16", "", 2), WireField("c", "char", "", 8))
)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 65535),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=7),
)
def test_records_survive(a: int, b: int, c: str) -> None:
    packed = RECORD.pack({"a": a, "b": (b, 1), "c": c})
    assert len(packed) == RECORD.size == 16
    assert RECORD.unpack(packed) == {"a": a, "b": (b, 1), "c": c}
    assert RECORD.offset("c") == 8


@pytest.mark.parametrize(
    "values",
    [
        {"a": 1, "b": (1, 2)},
        {"a": -1, "b": (1, 2), "c": ""},
        {"a": 1, "b": 1, "c": ""},
        {"a": 1, "b": (1, 2), "c": "12345678"},
        {"a": 1, "b": (1, 2), "c": "ü"},
    ],
)
def test_values_that_do_not_fit_are_refused(values: dict[str, int | str | tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="t"):
        RECORD.pack(values)


def test_what_c_would_pad_is_refused() -> None:
    with pytest.raises(ValueError, match="aligned"):
        WireStruct("t", "", (WireField("a", "u8", ""), WireField("b", "u32", "")))
    with pytest.raises(ValueError, match="pad"):
        WireStruct("t", "", (WireField("a", "u32", ""), WireField("b", "u8", "")))


def test_every_status_has_a_name_of_its_own() -> None:
    assert set(STATUS_CODES) == set(Status)
    assert len({code for code, _ in STATUS_CODES.values()}) == len(Status)
