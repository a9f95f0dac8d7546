"""Topics: no name reaches into another device's, and only ours are parsed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flota.errors import UsageError
from flota.topics import (
    FROM_DEVICE,
    FROM_SERVER,
    PREFIX,
    Channel,
    check_device_name,
    parse_topic,
    subscription,
    topic,
)

DEVICES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
CHANNELS = st.sampled_from(Channel)


@given(DEVICES, CHANNELS)
def test_round_trip(device: str, channel: Channel) -> None:
    assert parse_topic(topic(device, channel)) == (device, channel)


@given(st.text(max_size=80))
def test_whatever_parses_is_the_topic_of_what_it_parses_to(text: str) -> None:
    for candidate in (text, f"{PREFIX}/{text}", f"{PREFIX}/{text}/state", f"{PREFIX}/a/{text}"):
        parsed = parse_topic(candidate)
        assert parsed is None or topic(*parsed) == candidate


@pytest.mark.parametrize(
    "text",
    [
        "press-07/state",
        "flota/v1/press-07",
        "flota/v1/press-07/",
        "flota/v1/press-07/other",
        "flota/v1/press-07/state/x",
        "flota/v1//state",
        "flota/v1/+/state",
        "flota/v1/#",
        "flota/v2/press-07/state",
        "x/flota/v1/press-07/state",
        "flota/v1/flota/v1/press-07/state",
        "$SYS/broker/uptime",
        "",
    ],
)
def test_topics_that_are_not_ours(text: str) -> None:
    assert parse_topic(text) is None


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "A", "a/b", "a+", "#", "+", "a.b", "ä", "a\n", "a" * 64, "_server", "a b", "\x00"]
)
def test_names_that_could_reach_elsewhere(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_device_name(name)
    assert caught.value.hint
    with pytest.raises(UsageError):
        topic(name, Channel.STATE)


@pytest.mark.parametrize("name", ["a", "7", "press-07", "a" * 63])
def test_names_of_devices(name: str) -> None:
    assert check_device_name(name) == name


def test_every_channel_has_one_direction() -> None:
    assert set(Channel) == FROM_SERVER | FROM_DEVICE
    assert not FROM_SERVER & FROM_DEVICE


def test_the_servers_filter_matches_every_device() -> None:
    assert subscription(Channel.STATE) == "flota/v1/+/state"
