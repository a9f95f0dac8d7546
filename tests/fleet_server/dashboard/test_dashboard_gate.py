"""The shared poll, and the small decisions that keep strangers out."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from fleet_server.dashboard.feed import Feed
from fleet_server.dashboard.visitor import local_path, login_path, same_origin


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_read_under_way_is_shared_and_its_answer_kept_for_a_moment() -> None:
    clock, begun, release = Clock(), [], threading.Event()
    feed = Feed(max_age_s=0.5, clock=clock)

    def load() -> int:
        begun.append(1)
        release.wait(10)
        return len(begun)

    first, second = (asyncio.create_task(feed.read("devices", load)) for _ in range(2))
    await asyncio.sleep(0)
    release.set()
    assert await asyncio.gather(first, second) == [1, 1]
    clock.now = 0.5
    assert await feed.read("devices", load) == 1
    clock.now = 0.6
    assert await feed.read("devices", load) == 2
    feed.forget()
    assert await feed.read("devices", load) == 3


async def test_reads_of_other_keys_are_not_mixed_up() -> None:
    feed = Feed()
    assert await asyncio.gather(feed.read("a", lambda: 1), feed.read("b", lambda: 2)) == [1, 2]


async def test_a_failing_read_fails_for_all_and_is_tried_again() -> None:
    clock = Clock()
    feed = Feed(max_age_s=0.5, clock=clock)

    def fail() -> int:
        raise OSError("disk")

    for _ in range(2):
        with pytest.raises(OSError, match="disk"):
            await feed.read("a", fail)
    clock.now = 1.0
    assert await feed.read("a", lambda: 1) == 1


async def test_one_browser_that_goes_away_does_not_cancel_the_others() -> None:
    feed, release = Feed(), threading.Event()

    def load() -> int:
        release.wait(10)
        return 7

    gone, stays = (asyncio.create_task(feed.read("a", load)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    release.set()
    assert await stays == 7


@given(st.text(max_size=30))
def test_a_path_to_come_back_to_never_leaves_this_server(target: str) -> None:
    path = local_path(target)
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))


def test_the_way_to_sign_in_remembers_where_to_come_back() -> None:
    assert login_path("/") == "/login"
    assert login_path("/rollouts/3?x=1&y=2") == "/login?to=%2Frollouts%2F3%3Fx%3D1%26y%3D2"


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({}, True),
        ({"origin": "https://fleet:8443"}, True),
        ({"origin": "https://fleet:8443", "sec-fetch-site": "cross-site"}, True),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "https://fleet:9999"}, False),
        ({"origin": "null"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "same-origin"}, True),
    ],
)
def test_only_our_own_pages_may_send_forms_and_open_sockets(headers: dict[str, str], ours: bool) -> None:
    raw = [(b"host", b"fleet:8443"), *((name.encode(), value.encode()) for name, value in headers.items())]
    assert same_origin(HTTPConnection({"type": "http", "headers": raw})) is ours
