"""Fixtures of the fleet server's tests. Starting a server takes seconds, so the tests of a module share one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fleet_harness import Publisher, ServerProcess, WireDevice

from flota.api import FleetClient

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A running server in its own folder."""
    process = ServerProcess(tmp_path_factory.mktemp("fleet") / "server")
    try:
        process.start()
        yield process
    finally:
        process.stop()


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[FleetClient]:
    """A signed-in operator."""
    with server.login() as signed_in:
        yield signed_in


@pytest.fixture(scope="module")
def publisher(server: ServerProcess, client: FleetClient) -> Publisher:
    """A publisher whose keys are published, so that devices can enrol; 1.0.0 to 1.2.0 are released."""
    made = Publisher(server.folder.parent, server)
    made.publish(client, "1.0.0", "1.1.0", "1.2.0")
    return made


@pytest.fixture
def group() -> str:
    """A group of this test alone; it also begins the names of its devices."""
    return f"hall-{next(_NUMBERS)}"


@pytest.fixture
def make_device(
    tmp_path: Path, server: ServerProcess, client: FleetClient, publisher: Publisher, group: str
) -> Iterator[Callable[..., WireDevice]]:
    """Enrol and connect a device of this test's group; keyword arguments as of ``WireDevice``."""
    made: list[WireDevice] = []

    def make(name: str, **options: object) -> WireDevice:
        device = WireDevice(f"{group}-{name}", tmp_path / "devices" / name, server, **options)  # type: ignore[arg-type]
        made.append(device)
        return device.enrol(client, group=group).connect()

    yield make
    for device in made:
        device.close()
