"""The server's repository: what it accepts, what it refuses, and what a kill leaves behind."""

from __future__ import annotations

import json
import shutil
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Delegations, Metadata, Root, Targets

from flota import release
from flota.errors import StorageError
from flota.trust.config import LIFETIMES
from flota.trust.errors import (
    ArtifactMismatch,
    ArtifactMissing,
    BadSignature,
    Expired,
    ForeignKeys,
    KeyFileError,
    MetadataGarbled,
    NoRepository,
    NotFound,
    ReleaseChanged,
    Rollback,
    TrustError,
    UnknownTarget,
)
from flota.trust.keys import load_signer
from flota.trust.metadata import DIRECTOR_PATH
from flota.trust.online import OnlineRepository

PATH = "motion/1.0.0/motion-1.0.0-linux-litert.flota"
NEXT = "motion/1.1.0/motion-1.1.0-linux-litert.flota"
DAY_S = 86_400.0


class Recorder:
    """Takes an upload down without sending it."""

    def publish_release(self, targets_json: bytes, root_json: bytes | None, files: Any) -> None:
        self.targets, self.root, self.files = targets_json, root_json, dict(files)


def _upload(fleet: Any) -> Recorder:
    recorder = Recorder()
    release.publish(fleet.publisher, recorder)
    return recorder


def _next_upload(fleet: Any, version: str = "1.1.0") -> Recorder:
    """The upload of one more release, signed but not sent."""
    release.add_release(fleet.publisher, [fleet.bundle(version)])
    return _upload(fleet)


def _resigned(fleet: Any, data: bytes, change: Callable[[Targets], object]) -> bytes:
    metadata = Metadata[Targets].from_bytes(data)
    change(metadata.signed)
    metadata.sign(load_signer(fleet.publisher / "keys" / "targets.pem"))
    return metadata.to_bytes()


def test_keys_are_private_and_kept(fleet: Any) -> None:
    keys = sorted((fleet.folder / "server" / "keys").iterdir())
    assert [key.name for key in keys] == ["director-1.pem", "snapshot.pem", "timestamp.pem"]
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    again = OnlineRepository(fleet.folder / "server")
    assert again.server_keys() == fleet.repository.server_keys()
    assert again.targets() == fleet.repository.targets()


def test_lost_keys_of_a_published_repository_are_not_replaced_silently(fleet: Any) -> None:
    (fleet.folder / "server" / "keys" / "timestamp.pem").unlink()
    with pytest.raises(KeyFileError):
        OnlineRepository(fleet.folder / "server")


def test_nothing_is_served_before_the_first_release(tmp_path: Path) -> None:
    repository = OnlineRepository(tmp_path / "server")
    assert repository.targets() == []
    assert not repository.refresh()
    for call in (repository.root, lambda: repository.metadata("timestamp.json")):
        with pytest.raises(TrustError):
            call()
    with pytest.raises(UnknownTarget):
        repository.artifact(PATH)
    with pytest.raises(NoRepository):
        repository.root()


def test_an_upload_may_be_repeated(fleet: Any) -> None:
    upload = _upload(fleet)
    timestamp = fleet.repository.metadata("timestamp.json")
    accepted = fleet.repository.accept(upload.targets, upload.root, upload.files)
    assert accepted.new == ()
    assert fleet.repository.metadata("timestamp.json") == timestamp


def test_what_is_new_is_told(fleet: Any) -> None:
    upload = _next_upload(fleet)
    accepted = fleet.repository.accept(upload.targets, None, upload.files)
    assert [info.path for info in accepted.new] == [NEXT]
    assert fleet.repository.target(NEXT) == accepted.new[0]


def test_known_files_need_not_be_sent_again(fleet: Any) -> None:
    upload = _next_upload(fleet)
    fleet.repository.accept(upload.targets, None, {NEXT: upload.files[NEXT]})
    assert fleet.repository.artifact(PATH).is_file()


def _refused(fleet: Any, error: type[TrustError], targets: bytes, root: bytes | None, files: Any) -> TrustError:
    """The upload is refused and clients see what they saw before."""
    before = fleet.repository.metadata("timestamp.json"), fleet.repository.targets()
    with pytest.raises(error) as caught:
        fleet.repository.accept(targets, root, files)
    assert (fleet.repository.metadata("timestamp.json"), fleet.repository.targets()) == before
    fleet.device("after").refresh()
    return caught.value


def test_a_file_that_was_not_sent(fleet: Any) -> None:
    upload = _next_upload(fleet)
    del upload.files[NEXT]
    assert _refused(fleet, ArtifactMissing, upload.targets, None, upload.files).code == "artifact.missing"


@pytest.mark.parametrize("data", [b"", b"short"])
def test_a_file_that_is_another(fleet: Any, tmp_path: Path, data: bytes) -> None:
    upload = _next_upload(fleet)
    (tmp_path / "other").write_bytes(data)
    error = _refused(fleet, ArtifactMismatch, upload.targets, None, {**upload.files, NEXT: tmp_path / "other"})
    assert error.code == "artifact.digest-mismatch"
    assert not list((fleet.folder / "server" / "artifacts").glob(".*"))


def test_a_file_with_one_byte_changed(fleet: Any, tmp_path: Path) -> None:
    upload = _next_upload(fleet)
    data = bytearray(upload.files[NEXT].read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "other").write_bytes(data)
    _refused(fleet, ArtifactMismatch, upload.targets, None, {**upload.files, NEXT: tmp_path / "other"})


def test_an_uploaded_file_that_cannot_be_read(fleet: Any, tmp_path: Path) -> None:
    upload = _next_upload(fleet)
    with pytest.raises(StorageError):
        fleet.repository.accept(upload.targets, None, {NEXT: tmp_path / "nothing"})


def test_targets_signed_by_a_stranger(fleet: Any) -> None:
    upload = _next_upload(fleet)
    metadata = Metadata[Targets].from_bytes(upload.targets)
    metadata.sign(CryptoSigner.generate_ed25519())
    _refused(fleet, BadSignature, metadata.to_bytes(), None, upload.files)


def test_targets_without_signature(fleet: Any) -> None:
    upload = _next_upload(fleet)
    document = json.loads(upload.targets)
    document["signatures"] = []
    _refused(fleet, BadSignature, json.dumps(document).encode(), None, upload.files)


def test_older_targets(fleet: Any) -> None:
    old = _upload(fleet)
    fleet.release("1.1.0")
    assert _refused(fleet, Rollback, old.targets, old.root, old.files).code == "trust.rollback"


def test_other_targets_of_the_same_version(fleet: Any) -> None:
    upload = _upload(fleet)
    other = _resigned(fleet, upload.targets, lambda targets: targets.targets.pop(PATH))
    _refused(fleet, Rollback, other, upload.root, upload.files)


def test_expired_targets(fleet: Any) -> None:
    upload = _next_upload(fleet)
    with pytest.raises(Expired):
        fleet.repository.accept(
            upload.targets, None, upload.files, now=time.time() + (LIFETIMES.targets_days + 1) * DAY_S
        )


def test_a_published_path_keeps_its_bytes(fleet: Any, tmp_path: Path) -> None:
    upload = _next_upload(fleet)

    def change(targets: Targets) -> None:
        targets.targets[PATH].hashes = targets.targets[NEXT].hashes
        targets.targets[PATH].length = targets.targets[NEXT].length
        targets.targets[PATH].unrecognized_fields = targets.targets[NEXT].unrecognized_fields

    assert _refused(fleet, ReleaseChanged, _resigned(fleet, upload.targets, change), None, upload.files).code == (
        "release.changed"
    )


def test_delegations_are_refused(fleet: Any) -> None:
    upload = _next_upload(fleet)
    data = _resigned(fleet, upload.targets, lambda targets: setattr(targets, "delegations", Delegations({}, {})))
    _refused(fleet, MetadataGarbled, data, None, upload.files)


def test_custom_fields_that_are_not_ours(fleet: Any) -> None:
    upload = _next_upload(fleet)

    def change(targets: Targets) -> None:
        targets.targets[NEXT].unrecognized_fields["custom"] = {"model": 7}

    _refused(fleet, MetadataGarbled, _resigned(fleet, upload.targets, change), None, upload.files)


def test_two_digests_for_one_bundle(fleet: Any) -> None:
    upload = _next_upload(fleet)

    def change(targets: Targets) -> None:
        targets.targets[NEXT].unrecognized_fields["custom"]["bundle_sha256"] = "0" * 64

    _refused(fleet, MetadataGarbled, _resigned(fleet, upload.targets, change), None, upload.files)


def test_a_release_without_our_director(fleet: Any) -> None:
    upload = _next_upload(fleet)
    data = _resigned(fleet, upload.targets, lambda targets: targets.targets.pop(DIRECTOR_PATH))
    assert _refused(fleet, ForeignKeys, data, None, upload.files).code == "trust.foreign-keys"


@pytest.mark.parametrize("garbage", [b"", b"x", b"[]", b"{}", b"[" * 100_000, b'{"signed": 1, "signatures": []}'])
def test_garbage(fleet: Any, garbage: bytes) -> None:
    _refused(fleet, MetadataGarbled, garbage, None, {})


@pytest.mark.parametrize(
    "garbage", [b"x", b"[1]", b"1", b'"x"', b"[" * 100_000, b'[{"signed": 1}]', b"[" + b"1," * 300 + b"1]"]
)
def test_garbage_for_a_root(fleet: Any, garbage: bytes) -> None:
    upload = _next_upload(fleet)
    _refused(fleet, MetadataGarbled, upload.targets, garbage, upload.files)


def test_targets_where_a_root_belongs(fleet: Any) -> None:
    upload = _next_upload(fleet)
    _refused(fleet, MetadataGarbled, upload.targets, upload.targets, upload.files)


def test_the_first_upload_needs_a_root(make_fleet: Any) -> None:
    fleet = make_fleet()
    upload = _next_upload(fleet)
    with pytest.raises(NoRepository):
        fleet.repository.accept(upload.targets, None, upload.files)
    assert fleet.repository.targets() == []


def test_a_publisher_made_for_another_server(make_fleet: Any) -> None:
    mine, other = make_fleet("mine"), make_fleet("other")
    upload = _next_upload(other)
    with pytest.raises(ForeignKeys):
        mine.repository.accept(upload.targets, upload.root, upload.files)


def test_another_publisher_cannot_take_over(fleet: Any, make_fleet: Any) -> None:
    thief = make_fleet("thief")
    release.init_publisher(thief.publisher, fleet.repository.server_keys())
    upload = _next_upload(thief)
    _refused(fleet, BadSignature, upload.targets, upload.root, upload.files)


def test_a_root_that_skips_a_version(fleet: Any) -> None:
    upload = _next_upload(fleet)
    root = Metadata[Root].from_bytes(fleet.repository.root())
    root.signed.version = 3
    root.sign(load_signer(fleet.publisher / "keys" / "root.pem"))
    _refused(fleet, Rollback, upload.targets, root.to_bytes(), upload.files)


def test_metadata_names_that_are_none(fleet: Any) -> None:
    for name in (
        "2.root.json",
        "0.root.json",
        "99.targets.json",
        "commit.json",
        "../keys/snapshot.pem",
        "root.json",
        "",
    ):
        with pytest.raises(NotFound):
            fleet.repository.metadata(name)


@given(st.text(max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_path_reaches_outside_the_artifacts(fleet: Any, path: str) -> None:
    for tried in (path, f"../{path}", f"{'0' * 64}.{path}", f"motion/{'0' * 64}.{path}", f"{PATH}/../{path}"):
        with pytest.raises(UnknownTarget):
            fleet.repository.artifact(tried)


def test_timestamp_is_renewed_when_half_of_its_life_is_over(fleet: Any) -> None:
    start = time.time()
    assert not fleet.repository.refresh(start)
    assert not fleet.repository.refresh(start + LIFETIMES.timestamp_days * DAY_S * 0.4)
    assert fleet.repository.refresh(start + LIFETIMES.timestamp_days * DAY_S * 0.6)
    assert not fleet.repository.refresh(start + LIFETIMES.timestamp_days * DAY_S * 0.6)
    assert json.loads(fleet.repository.metadata("timestamp.json"))["signed"]["version"] == 2


def test_snapshot_is_renewed_too(fleet: Any) -> None:
    assert fleet.repository.refresh(time.time() + LIFETIMES.snapshot_days * DAY_S * 0.6)
    assert json.loads(fleet.repository.metadata("2.snapshot.json"))["signed"]["version"] == 2
    fleet.device().refresh()


def test_director_rotation_from_old_to_new(fleet: Any) -> None:
    old = fleet.repository.director_signer().public_key.keyid
    keys = fleet.repository.rotate_director()
    assert fleet.repository.director_signer().public_key.keyid == old
    release.init_publisher(fleet.publisher, keys)
    release.publish(fleet.publisher, fleet)
    new = fleet.repository.director_signer().public_key.keyid
    assert new == keys.director[0].keyid != old
    release.init_publisher(fleet.publisher, fleet.repository.retire_directors())
    release.publish(fleet.publisher, fleet)
    assert [key.keyid for key in fleet.device().director_keys()] == [new]


def test_retiring_keeps_the_key_that_signs_and_newer_ones(fleet: Any) -> None:
    before = fleet.repository.server_keys().director
    fleet.repository.rotate_director()
    assert fleet.repository.retire_directors().director[1:] == before


def test_a_full_disk_leaves_the_old_state(fleet: Any, in_child: Any) -> None:
    upload = _next_upload(fleet)
    code = in_child(lambda: _accept_with_small_files(fleet, upload))
    assert code == 0
    assert fleet.device().target(PATH)
    fleet.repository.accept(upload.targets, upload.root, upload.files)


def _accept_with_small_files(fleet: Any, upload: Recorder) -> None:
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    before = fleet.repository.metadata("timestamp.json")
    with pytest.raises(StorageError):
        fleet.repository.accept(upload.targets, upload.root, upload.files)
    assert fleet.repository.metadata("timestamp.json") == before
    assert not list((fleet.folder / "server").rglob("*/.*"))


@pytest.mark.parametrize("rotate", [False, True], ids=["release", "release-and-new-root"])
def test_killed_at_any_step_the_repository_is_whole(fleet: Any, killed_before: Any, rotate: bool) -> None:
    """Every client sees the old state or the new one, and the upload made again succeeds."""
    settled = fleet.device("settled")
    settled.refresh()
    server = fleet.folder / "server"
    if rotate:
        release.init_publisher(fleet.publisher, now=time.time() + LIFETIMES.root_days * DAY_S * 0.6)
    upload = _next_upload(fleet)
    shutil.copytree(server, fleet.folder / "before")
    step, seen = 0, set()
    while True:
        shutil.rmtree(server)
        shutil.copytree(fleet.folder / "before", server)
        if not killed_before(step, lambda: fleet.repository.accept(upload.targets, upload.root, upload.files)):
            break
        settled.refresh()
        newcomer = fleet.device(f"newcomer-{step}")
        newcomer.refresh()
        seen.add(_sees(newcomer, NEXT))
        reopened = OnlineRepository(server)
        reopened.accept(upload.targets, upload.root, upload.files)
        assert _sees(fleet.device(f"later-{step}"), NEXT)
        assert not list(server.rglob("*/.*"))
        shutil.rmtree(fleet.folder / "settled")
        settled = fleet.device("settled")
        step += 1
    assert step >= 6
    assert seen == {False}


def _sees(device: Any, path: str) -> bool:
    try:
        return bool(device.target(path))
    except UnknownTarget:
        return False
