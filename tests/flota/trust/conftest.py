"""A whole small fleet in a temporary folder: publisher, online repository, and devices that fetch from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flota import bundle, release
from flota.trust.client import ARTIFACTS_BASE, METADATA_BASE, TrustedClient
from flota.trust.errors import NotFound
from flota.trust.online import Accepted, OnlineRepository

DAY_S = 86_400.0


@dataclass
class Wire:
    """Serves a repository the way the device port does; a test puts other bytes (or a failure) in its way."""

    repository: OnlineRepository
    replaced: dict[str, bytes | Exception] = field(default_factory=dict)
    recorded: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def fetch(self, path: str) -> bytes:
        self.asked.append(path)
        if path in self.replaced:
            answer = self.replaced[path]
            if isinstance(answer, Exception):
                raise answer
            return answer
        self.recorded[path] = data = self._honest(path)
        return data

    def freeze(self) -> None:
        """From now on show only what was shown before: an attacker with a copy of the old state."""
        old = dict(self.recorded)
        self._honest = lambda path: old[path] if path in old else _missing(path)  # type: ignore[method-assign]

    def _honest(self, path: str) -> bytes:
        if path.startswith(METADATA_BASE):
            return self.repository.metadata(path.removeprefix(METADATA_BASE))
        return self.repository.artifact(path.removeprefix(ARTIFACTS_BASE)).read_bytes()


def _missing(path: str) -> bytes:
    raise NotFound(path)


@dataclass
class Fleet:
    """Publisher and server of one fleet; ``now`` shifts the time at which they sign."""

    folder: Path
    make_bundle: Callable[..., tuple[bundle.Manifest, dict[str, bytes]]]
    now: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.publisher = self.folder / "publisher"
        self.repository = OnlineRepository(self.folder / "server")
        self.wire = Wire(self.repository)
        release.init_publisher(self.publisher, self.repository.server_keys(), now=self.now)

    def publish_release(self, targets_json: bytes, root_json: bytes | None, files: Mapping[str, Path]) -> Accepted:
        self.accepted = self.repository.accept(targets_json, root_json, files, now=self.now)
        return self.accepted

    def bundle(self, version: str, **changes: object) -> Path:
        manifest, files = self.make_bundle(version=version, **changes)
        return bundle.write(self.folder / "bundles", manifest, files)

    def release(self, version: str = "1.0.0", **changes: object) -> release.Release:
        """Sign and publish a release of one bundle."""
        made = release.add_release(self.publisher, [self.bundle(version, **changes)], now=self.now)
        release.publish(self.publisher, self)
        return made

    def device(self, name: str = "device") -> TrustedClient:
        return TrustedClient(self.folder / name, self.repository.root(), self.wire.fetch)


@pytest.fixture
def make_fleet(
    tmp_path: Path, make_bundle: Callable[..., tuple[bundle.Manifest, dict[str, bytes]]]
) -> Callable[..., Fleet]:
    """A fleet in its own folder: name, and ``now`` for one that signs at another time."""

    def make(name: str = "fleet", **settings: float) -> Fleet:
        return Fleet(tmp_path / name, make_bundle, **settings)

    return make


@pytest.fixture
def fleet(make_fleet: Callable[..., Fleet]) -> Fleet:
    """A fleet with release 1.0.0 published."""
    fleet = make_fleet()
    fleet.release("1.0.0")
    return fleet
