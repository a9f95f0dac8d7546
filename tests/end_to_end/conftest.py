"""Fixtures of the cross-part tests: the real server with its broker, real agents, real TLS; small models."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "device_agent"))  # for agent_bundles, which makes small real bundles

from fleet_driver import Fleet


@pytest.fixture(scope="module")
def new_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Fleet]]:
    """Makes a running server without devices, with these entries in ``server.json``; it is ended after the module."""
    fleets: list[Fleet] = []

    def make(**settings: float) -> Fleet:
        fleets.append(Fleet(tmp_path_factory.mktemp("fleet")))
        fleets[-1].start_server(**settings)
        return fleets[-1]

    yield make
    for fleet in fleets:
        fleet.stop()
