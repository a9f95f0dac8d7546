"""Metadata that is well-formed JSON but wrong somewhere: refused with an error of ours, and nothing changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tuf.api.metadata import Metadata

from flota import release
from flota.trust.errors import TrustError

QUICK = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 70), 1 << 70),
    st.floats(),
    st.text(max_size=4),
    st.just([]),
    st.just({}),
    st.just({"keyids": [], "threshold": 0}),
    st.just("9999-99-99T00:00:00Z"),
    st.just("2026-01-01T00:00:00Z"),
)


def _places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something could be replaced, from the top down."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place, *(found for key in keys for found in _places(value[key], (*place, key)))]


def _mutated(data: bytes, draw: Any) -> bytes:
    document = json.loads(data)
    place = draw(st.sampled_from(_places(document)[1:]))
    holder = document
    for key in place[:-1]:
        holder = holder[key]
    if draw(st.booleans()) and isinstance(holder, dict):
        del holder[place[-1]]
    else:
        holder[place[-1]] = draw(ODD)
    return json.dumps(document).encode()


class _Upload:
    def publish_release(self, targets_json: bytes, root_json: bytes | None, files: Any) -> None:
        self.targets, self.root, self.files = targets_json, root_json or b"", files


@pytest.fixture
def upload(fleet: Any) -> _Upload:
    release.add_release(fleet.publisher, [fleet.bundle("1.1.0")])
    upload = _Upload()
    release.publish(fleet.publisher, upload)
    return upload


@given(st.data())
@QUICK
def test_targets_uploaded_to_the_server(fleet: Any, upload: _Upload, data: st.DataObject) -> None:
    changed = _mutated(upload.targets, data.draw)
    if json.loads(changed) == json.loads(upload.targets):
        return
    before = fleet.repository.metadata("timestamp.json")
    try:
        fleet.repository.accept(changed, upload.root, upload.files)
    except TrustError:
        assert fleet.repository.metadata("timestamp.json") == before
    else:
        _only_unsigned_parts_differ(changed, upload.targets)


@given(st.data())
@QUICK
def test_roots_uploaded_to_the_server(make_fleet: Any, data: st.DataObject) -> None:
    fleet = make_fleet(f"fleet-{data.draw(st.integers(0, 1 << 60))}")
    release.add_release(fleet.publisher, [fleet.bundle("1.0.0")])
    upload = _Upload()
    release.publish(fleet.publisher, upload)
    changed = _mutated(upload.root, data.draw)
    try:
        fleet.repository.accept(upload.targets, changed, upload.files)
    except TrustError:
        assert fleet.repository.targets() == []
    else:
        _only_unsigned_parts_differ(json.dumps(json.loads(changed)[0]), json.dumps(json.loads(upload.root)[0]))


@pytest.mark.parametrize("name", ["timestamp", "1.snapshot", "2.targets"])
@given(data=st.data())
@QUICK
def test_metadata_shown_to_a_device(fleet: Any, name: str, data: st.DataObject) -> None:
    path = f"tuf/metadata/{name}.json"
    honest = fleet.wire._honest(path)
    changed = _mutated(honest, data.draw)
    fleet.wire.replaced = {path: changed}
    device = fleet.device(f"device-{data.draw(st.integers(0, 1 << 60))}")
    try:
        device.refresh()
    except TrustError:
        pass
    else:
        _only_unsigned_parts_differ(changed, honest)


@given(data=st.data())
@QUICK
def test_a_root_shown_to_a_device(fleet: Any, data: st.DataObject) -> None:
    fleet.wire.replaced = {"tuf/metadata/2.root.json": _mutated(fleet.repository.root(), data.draw)}
    with pytest.raises(TrustError):
        fleet.device().refresh()


def _only_unsigned_parts_differ(changed: bytes | str, honest: bytes | str) -> None:
    """What was signed is what was read (python-tuf reads an absent or null ``spec_version`` as its own)."""
    one, two = (Metadata.from_dict(json.loads(text)) for text in (changed, honest))
    assert one.signed == two.signed
