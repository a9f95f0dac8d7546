"""Attacks on the way to the device: each is refused with its own code and what was trusted before stays."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from flota import release
from flota.errors import StorageError
from flota.messages import Assignment
from flota.trust.client import TrustedClient, check_artifact, check_released
from flota.trust.config import LIFETIMES, LIMITS
from flota.trust.errors import (
    ArtifactMismatch,
    AssignmentUnreleased,
    BadSignature,
    Expired,
    FetchFailed,
    MetadataGarbled,
    MetadataMismatch,
    NotFound,
    Rollback,
    TrustError,
    UnknownTarget,
)
from flota.trust.metadata import DIRECTOR_PATH, TargetInfo

PATH = "motion/1.0.0/motion-1.0.0-linux-litert.flota"
TIMESTAMP = "tuf/metadata/timestamp.json"
DAY_S = 86_400.0


def test_a_device_sees_what_the_publisher_signed(fleet: Any) -> None:
    device = fleet.device()
    device.refresh()
    info = device.target(PATH)
    assert info == fleet.repository.target(PATH)
    assert info.custom.version == "1.0.0"
    check_artifact(fleet.repository.artifact(PATH), info)


def test_refresh_finds_the_next_release_and_downloads_only_what_is_new(fleet: Any) -> None:
    device = fleet.device()
    device.refresh()
    fleet.release("1.1.0")
    fleet.wire.asked.clear()
    device.refresh()
    assert device.target(PATH.replace("1.0.0", "1.1.0")).custom.version == "1.1.0"
    assert [path.rsplit("/", 1)[1] for path in fleet.wire.asked] == [
        "2.root.json",
        "timestamp.json",
        "2.snapshot.json",
        "3.targets.json",
    ]


def test_trust_survives_a_restart(fleet: Any) -> None:
    fleet.device().refresh()
    again = fleet.device()
    assert again.target(PATH).path == PATH


def test_unknown_target(fleet: Any) -> None:
    with pytest.raises(UnknownTarget) as caught:
        fleet.device().target("motion/9.9.9/x.flota")
    assert caught.value.code == "trust.unknown-target"


def test_director_keys_are_fetched_once_and_again_when_they_change(fleet: Any) -> None:
    device = fleet.device()
    before = [key.keyid for key in device.director_keys()]
    device.refresh()
    fleet.wire.asked.clear()
    assert [key.keyid for key in device.director_keys()] == before
    assert fleet.wire.asked == []
    release.init_publisher(fleet.publisher, fleet.repository.rotate_director())
    release.publish(fleet.publisher, fleet)
    device.refresh()
    after = [key.keyid for key in device.director_keys()]
    assert after[1:] == before
    assert after[0] == fleet.repository.director_signer().public_key.keyid


def test_a_tampered_director_file_is_refused(fleet: Any) -> None:
    device = fleet.device()
    info = device.target(DIRECTOR_PATH)
    fleet.wire.replaced[f"artifacts/director/{info.sha256}.director.json"] = b"x" * info.size
    with pytest.raises(MetadataMismatch):
        device.director_keys()


@pytest.mark.parametrize("role", ["timestamp", "1.snapshot", "2.targets"])
@pytest.mark.parametrize("position", [0.1, 0.5, 0.9])
def test_a_changed_byte_in_any_metadata_is_refused(fleet: Any, role: str, position: float) -> None:
    device = fleet.device()
    name = f"tuf/metadata/{role}.json"
    data = bytearray(fleet.wire._honest(name))
    data[int(len(data) * position)] ^= 0x01
    fleet.wire.replaced[name] = bytes(data)
    with pytest.raises(TrustError) as caught:
        device.refresh()
    assert caught.value.code in {"trust.garbled", "trust.bad-signature", "trust.mismatch"}
    fleet.wire.replaced.clear()
    device.refresh()


@pytest.mark.parametrize("kind", [Timestamp, Snapshot, Targets])
def test_metadata_signed_by_a_stranger_is_refused(fleet: Any, kind: type) -> None:
    """Also when the attacker holds every lower key and so can make the digests above agree."""
    names = {Timestamp: TIMESTAMP, Snapshot: "tuf/metadata/1.snapshot.json", Targets: "tuf/metadata/2.targets.json"}
    metadata = Metadata.from_bytes(fleet.wire._honest(names[kind]))
    metadata.sign(CryptoSigner.generate_ed25519())
    fleet.wire.replaced[names[kind]] = metadata.to_bytes()
    if kind is not Timestamp:
        _agree_above(fleet, kind, metadata.to_bytes())
    with pytest.raises(BadSignature) as caught:
        fleet.device().refresh()
    assert caught.value.code == "trust.bad-signature"


def _agree_above(fleet: Any, kind: type, data: bytes) -> None:
    """Re-sign what names ``data``, with the server's stolen online keys."""
    from flota.trust.keys import load_signer
    from flota.trust.online import _meta_file

    keys = fleet.folder / "server" / "keys"
    if kind is Targets:
        snapshot = Metadata.from_bytes(fleet.wire._honest("tuf/metadata/1.snapshot.json"))
        snapshot.signed.meta["targets.json"] = _meta_file(2, data)
        snapshot.sign(load_signer(keys / "snapshot.pem"))
        data = snapshot.to_bytes()
        fleet.wire.replaced["tuf/metadata/1.snapshot.json"] = data
    timestamp = Metadata.from_bytes(fleet.wire._honest(TIMESTAMP))
    timestamp.signed.snapshot_meta = _meta_file(1, data)
    timestamp.sign(load_signer(keys / "timestamp.pem"))
    fleet.wire.replaced[TIMESTAMP] = timestamp.to_bytes()


def test_a_broken_server_cannot_add_a_release(fleet: Any) -> None:
    """With all online keys stolen, a bundle of the attacker's still has no signature of the release key."""
    targets = Metadata.from_bytes(fleet.wire._honest("tuf/metadata/2.targets.json"))
    targets.signed.targets[PATH].hashes["sha256"] = "0" * 64
    fleet.wire.replaced["tuf/metadata/2.targets.json"] = targets.to_bytes()
    _agree_above(fleet, Targets, targets.to_bytes())
    with pytest.raises(BadSignature):
        fleet.device().refresh()


def test_expired_metadata_is_refused(make_fleet: Any) -> None:
    old = make_fleet(now=time.time() - (LIFETIMES.timestamp_days + 1) * DAY_S)
    old.release("1.0.0")
    with pytest.raises(Expired) as caught:
        old.device().refresh()
    assert caught.value.code == "trust.expired"
    assert old.repository.refresh()
    old.device().refresh()


def test_an_expired_root_is_refused(make_fleet: Any) -> None:
    old = make_fleet(now=time.time() - (LIFETIMES.root_days + 1) * DAY_S)
    old.release("1.0.0")
    with pytest.raises(Expired):
        old.device().refresh()


def test_freeze_attack_ends_with_the_timestamps_lifetime(make_fleet: Any) -> None:
    """The device is shown for ever what it trusted once: it notices as soon as that has expired."""
    almost = LIFETIMES.timestamp_days * DAY_S - 2
    fleet = make_fleet(now=time.time() - almost)
    fleet.release("1.0.0")
    device = fleet.device()
    device.refresh()
    fleet.wire.freeze()
    fleet.repository.refresh()
    expires = Metadata.from_bytes(fleet.wire.recorded[TIMESTAMP]).signed.expires.timestamp()
    while time.time() < expires:
        device.refresh()
        time.sleep(0.05)
    with pytest.raises(Expired):
        device.refresh()


def test_rollback_of_the_timestamp_is_refused(fleet: Any) -> None:
    old = fleet.wire._honest(TIMESTAMP)
    fleet.release("1.1.0")
    device = fleet.device()
    device.refresh()
    fleet.wire.replaced[TIMESTAMP] = old
    with pytest.raises(Rollback) as caught:
        device.refresh()
    assert caught.value.code == "trust.rollback"
    restarted = fleet.device()
    with pytest.raises(Rollback):
        restarted.refresh()


def test_rollback_of_targets_by_a_broken_server_is_refused(fleet: Any) -> None:
    """Old targets metadata, properly signed long ago, under a new snapshot: the version may not fall."""
    old_targets = fleet.wire._honest("tuf/metadata/2.targets.json")
    fleet.release("1.1.0")
    device = fleet.device()
    device.refresh()
    fleet.repository._sign(1, 2, old_targets, time.time())
    with pytest.raises(Rollback):
        device.refresh()


def test_mix_and_match_is_refused(fleet: Any) -> None:
    old = fleet.wire._honest("tuf/metadata/1.snapshot.json")
    fleet.release("1.1.0")
    fleet.wire.replaced["tuf/metadata/2.snapshot.json"] = old
    with pytest.raises(MetadataMismatch) as caught:
        fleet.device().refresh()
    assert caught.value.code == "trust.mismatch"


def test_another_fleets_metadata_is_refused(fleet: Any, make_fleet: Any) -> None:
    other = make_fleet("other")
    other.release("1.0.0")
    client = TrustedClient(fleet.folder / "device", fleet.repository.root(), other.wire.fetch)
    with pytest.raises(BadSignature):
        client.refresh()


def test_endless_metadata_is_refused(fleet: Any) -> None:
    fleet.wire.replaced[TIMESTAMP] = b" " * (LIMITS.timestamp_bytes + 1)
    with pytest.raises(TrustError):
        fleet.device().refresh()


def test_an_unreachable_repository_is_no_attack(fleet: Any) -> None:
    device = fleet.device()
    device.refresh()
    fleet.wire.replaced[TIMESTAMP] = ConnectionError("no route to host")
    with pytest.raises(FetchFailed, match="no route to host") as caught:
        device.refresh()
    assert caught.value.code == "trust.unavailable"
    assert device.target(PATH).path == PATH


def test_a_lacking_timestamp_is_unavailable(fleet: Any) -> None:
    fleet.wire.replaced[TIMESTAMP] = NotFound("gone")
    with pytest.raises(FetchFailed):
        fleet.device().refresh()


@pytest.mark.parametrize("root", [b"", b"{}", b"not json", b'{"signed": {"_type": "root"}, "signatures": []}'])
def test_a_root_that_is_none_is_refused(fleet: Any, tmp_path: Path, root: bytes) -> None:
    with pytest.raises(MetadataGarbled):
        TrustedClient(tmp_path / "device", root, fleet.wire.fetch)


def test_a_root_nobody_signed_is_refused(fleet: Any, tmp_path: Path) -> None:
    document = json.loads(fleet.repository.root())
    document["signatures"] = []
    with pytest.raises(BadSignature):
        TrustedClient(tmp_path / "device", json.dumps(document).encode(), fleet.wire.fetch)


def test_a_device_follows_a_root_rotation(fleet: Any) -> None:
    device = fleet.device()
    device.refresh()
    for name in ("snapshot", "timestamp"):
        (fleet.folder / "server" / "keys" / f"{name}.pem").unlink()
    _new_online_keys(fleet)
    device.refresh()
    assert fleet.device("fresh").target(PATH).path == PATH


def _new_online_keys(fleet: Any) -> None:
    from flota.trust.keys import create_signer

    for name in ("snapshot", "timestamp"):
        create_signer(fleet.folder / "server" / "keys" / f"{name}.pem")
    release.init_publisher(fleet.publisher, fleet.repository.server_keys())
    release.publish(fleet.publisher, fleet)


def test_a_forged_next_root_is_refused(fleet: Any) -> None:
    root = Metadata[Root].from_bytes(fleet.repository.root())
    root.signed.version = 2
    root.sign(CryptoSigner.generate_ed25519())
    fleet.wire.replaced["tuf/metadata/2.root.json"] = root.to_bytes()
    with pytest.raises(BadSignature):
        fleet.device().refresh()


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x", lambda data: b"X" + data[1:]])
def test_a_tampered_artifact_is_refused(fleet: Any, tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    info = fleet.device().target(PATH)
    file = tmp_path / "download"
    file.write_bytes(change(fleet.repository.artifact(PATH).read_bytes()))
    with pytest.raises(ArtifactMismatch) as caught:
        check_artifact(file, info)
    assert caught.value.code == "artifact.digest-mismatch"


def test_an_absent_artifact_is_a_storage_error(fleet: Any, tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        check_artifact(tmp_path / "nothing", fleet.device().target(PATH))


def _assignment(info: TargetInfo, **changes: object) -> Assignment:
    assert info.custom is not None
    fields = {
        "device": "d",
        "counter": 1,
        "issued_at": 0.0,
        "expires_at": 1.0,
        "model": info.custom.model,
        "version": info.custom.version,
        "target": info.custom.target,
        "path": info.path,
        "sha256": info.sha256,
        "size": info.size,
        **changes,
    }
    return Assignment.model_validate(fields)


def test_an_assignment_must_name_what_was_released(fleet: Any) -> None:
    info = fleet.device().target(PATH)
    check_released(_assignment(info), info)
    for change in (
        {"sha256": "0" * 64},
        {"size": 1},
        {"path": "x"},
        {"model": "x"},
        {"version": "9.0.0"},
        {"target": "x"},
    ):
        with pytest.raises(AssignmentUnreleased):
            check_released(_assignment(info, **change), info)
    with pytest.raises(AssignmentUnreleased):
        check_released(_assignment(info), TargetInfo(info.path, info.sha256, info.size, None))


def test_metadata_that_cannot_be_stored_is_an_error_and_changes_nothing(fleet: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        TrustedClient(tmp_path / "file" / "device", fleet.repository.root(), fleet.wire.fetch)


@pytest.mark.parametrize("damage", [b"", b"garbage", b"{}", b"[" * 10_000])
@pytest.mark.parametrize("name", ["timestamp.json", "snapshot.json", "targets.json", "root_history/1.root.json"])
def test_a_damaged_cache_is_fetched_again(fleet: Any, name: str, damage: bytes) -> None:
    fleet.device().refresh()
    (fleet.folder / "device" / name).write_bytes(damage)
    assert fleet.device().target(PATH).path == PATH
    assert (fleet.folder / "device" / name).read_bytes() != damage


def test_killed_at_any_step_a_refresh_can_be_made_again(fleet: Any, killed_before: Any) -> None:
    """Whatever was written, the device still trusts no less than before."""
    fleet.device("settled").refresh()
    old = fleet.wire._honest(TIMESTAMP)
    fleet.release("1.1.0")
    step = 0
    while True:
        shutil.rmtree(fleet.folder / "device", ignore_errors=True)
        shutil.copytree(fleet.folder / "settled", fleet.folder / "device", symlinks=True)
        if not killed_before(step, lambda: fleet.device().refresh()):
            break
        assert fleet.device().target(PATH.replace("1.0.0", "1.1.0"))
        fleet.wire.replaced[TIMESTAMP] = old
        with pytest.raises(Rollback):
            fleet.device().refresh()
        fleet.wire.replaced.clear()
        step += 1
    assert step >= 4
