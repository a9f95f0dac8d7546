"""The publisher: what it signs, what it refuses to sign, and that a second run changes nothing."""

from __future__ import annotations

import json
import shutil
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from flota import bundle, release
from flota.bundle import BundleError
from flota.cli import run
from flota.errors import StorageError, UsageError
from flota.image import SIGNATURE_BYTES, ImageBadSignature, ImageError, ImageHeader, parse_image, verify_image
from flota.trust.config import LIFETIMES
from flota.trust.errors import BadSignature, KeyFileError, NoRepository, ReleaseChanged, TrustError
from flota.trust.keys import ServerKeys
from flota.trust.online import OnlineRepository

DAY_S = 86_400.0
BOARD = "qemu-mps2-an386"


@pytest.fixture
def server_keys(tmp_path: Path) -> Path:
    path = tmp_path / "server-keys.json"
    path.write_bytes(OnlineRepository(tmp_path / "server").server_keys().to_bytes())
    return path


@pytest.fixture
def publisher(tmp_path: Path, server_keys: Path) -> Path:
    release.init_publisher(tmp_path / "publisher", ServerKeys.from_file(server_keys))
    return tmp_path / "publisher"


def _image(slot: str = "A", *, model: str = "motion", version: str = "1.0.0", board: str = BOARD) -> bytes:
    payload = b"code and weights"
    header = ImageHeader(
        board=board,
        slot=slot,  # type: ignore[arg-type]
        load_address=0x2100_3000,
        model=model,
        version=version,
        security_counter=0,
        payload_bytes=len(payload),
        model_offset=0,
        arena_bytes=64,
        golden_count=1,
        golden_inputs_offset=0,
        golden_outputs_offset=4,
        input_bytes=4,
        output_bytes=4,
    )
    return bytes(SIGNATURE_BYTES) + header.pack() + payload


def _images(**changes: Any) -> dict[str, bytes]:
    return {f"images/{BOARD}/a.img": _image("A", **changes), f"images/{BOARD}/b.img": _image("B", **changes)}


def _snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- init


def test_init_makes_private_keys_once(tmp_path: Path) -> None:
    release.init_publisher(tmp_path / "p")
    before = _snapshot(tmp_path / "p")
    for name in ("root", "targets", "image"):
        assert stat.S_IMODE((tmp_path / "p" / "keys" / f"{name}.pem").stat().st_mode) == 0o600
    state = release.init_publisher(tmp_path / "p")
    assert _snapshot(tmp_path / "p") == before
    assert (state.root_version, state.targets_version) == (0, 0)


def test_init_with_server_keys_signs_once(publisher: Path, server_keys: Path) -> None:
    before = _snapshot(publisher)
    state = release.init_publisher(publisher, ServerKeys.from_file(server_keys))
    assert (state.root_version, state.targets_version) == (1, 1)
    assert _snapshot(publisher) == before


def test_init_renews_what_is_half_over(publisher: Path) -> None:
    later = time.time() + LIFETIMES.targets_days * DAY_S * 0.6
    state = release.init_publisher(publisher, now=later)
    assert (state.root_version, state.targets_version) == (1, 2)
    state = release.init_publisher(publisher, now=time.time() + LIFETIMES.root_days * DAY_S * 0.6)
    assert state.root_version == 2


def test_init_for_a_rotated_server_key_signs_the_next_root(publisher: Path, tmp_path: Path) -> None:
    other = OnlineRepository(tmp_path / "other").server_keys()
    assert release.init_publisher(publisher, other).root_version == 2
    chain = json.loads(release.root_chain_json(publisher))
    assert [root["signed"]["version"] for root in chain] == [1, 2]


@pytest.mark.parametrize("name", ["root", "targets", "image"])
@pytest.mark.parametrize("damage", [None, b"", b"garbage"])
def test_a_lost_or_damaged_key_is_not_replaced(publisher: Path, name: str, damage: bytes | None) -> None:
    key = publisher / "keys" / f"{name}.pem"
    if damage is None:
        key.unlink()
    else:
        key.write_bytes(damage)
    before = _snapshot(publisher)
    with pytest.raises(KeyFileError):
        release.init_publisher(publisher)
    assert _snapshot(publisher) == before


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b"\xff", b'{"snapshot": 1}'])
def test_server_keys_that_are_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "keys.json").write_bytes(content)
    with pytest.raises(KeyFileError):
        ServerKeys.from_file(tmp_path / "keys.json")


def test_foreign_metadata_is_not_signed_over(
    publisher: Path, tmp_path: Path, write_bundle: Callable[..., Path]
) -> None:
    other = tmp_path / "other"
    release.init_publisher(other, ServerKeys.from_file(tmp_path / "server-keys.json"))
    shutil.copy(other / "repository" / "metadata" / "targets.json", publisher / "repository" / "metadata")
    with pytest.raises(BadSignature):
        release.add_release(publisher, [write_bundle()])


# ---- create


def test_a_release_holds_its_bundles(publisher: Path, write_bundle: Callable[..., Path]) -> None:
    paths = [write_bundle(), write_bundle(target="cortex-m4f-tflm")]
    made = release.add_release(publisher, paths)
    assert [info.custom.target for info in made.bundles if info.custom] == ["cortex-m4f-tflm", "linux-litert"]
    assert made == release.get_release(publisher, "motion", "1.0.0")
    assert release.list_releases(publisher) == [made]
    stored = publisher / "repository" / "targets" / made.bundles[1].path
    assert stored.read_bytes() == paths[0].read_bytes()


def test_adding_again_changes_nothing(publisher: Path, write_bundle: Callable[..., Path]) -> None:
    path = write_bundle(extra=_images())
    release.add_release(publisher, [path], security_floor=2)
    before = _snapshot(publisher)
    release.add_release(publisher, [path], security_floor=2)
    assert _snapshot(publisher) == before


def test_a_target_may_be_added_later(publisher: Path, write_bundle: Callable[..., Path]) -> None:
    release.add_release(publisher, [write_bundle()])
    made = release.add_release(publisher, [write_bundle(target="jetson-tensorrt")])
    assert len(made.bundles) == 2


def test_releases_are_listed_in_order_of_version(publisher: Path, write_bundle: Callable[..., Path]) -> None:
    for version in ("1.10.0", "1.9.0", "0.1.0"):
        release.add_release(publisher, [write_bundle(version=version)])
    assert [made.version for made in release.list_releases(publisher)] == ["0.1.0", "1.9.0", "1.10.0"]


def test_a_release_never_changes(publisher: Path, write_bundle: Callable[..., Path]) -> None:
    release.add_release(publisher, [write_bundle()])
    before = _snapshot(publisher)
    with pytest.raises(ReleaseChanged):
        release.add_release(publisher, [write_bundle(payload=b"other weights")])
    with pytest.raises(ReleaseChanged):
        release.add_release(publisher, [write_bundle()], security_floor=9)
    assert _snapshot(publisher) == before


def test_what_is_no_release(publisher: Path, write_bundle: Callable[..., Path]) -> None:
    before = _snapshot(publisher)
    one, other = write_bundle(), write_bundle(version="2.0.0")
    for bundles in ([], [one, other], [one, one]):
        with pytest.raises(UsageError):
            release.add_release(publisher, bundles)
    with pytest.raises(UsageError):
        release.add_release(publisher, [one, write_bundle(target="x", security_floor=4)])
    assert _snapshot(publisher) == before


def test_a_bundle_with_one_byte_changed(publisher: Path, write_bundle: Callable[..., Path]) -> None:
    path = write_bundle()
    data = bytearray(path.read_bytes())
    data[-3000] ^= 1
    path.write_bytes(data)
    before = _snapshot(publisher)
    with pytest.raises(BundleError):
        release.add_release(publisher, [path])
    assert _snapshot(publisher) == before


def test_folders_and_files_that_are_not_there(
    tmp_path: Path, publisher: Path, write_bundle: Callable[..., Path]
) -> None:
    with pytest.raises(NoRepository):
        release.add_release(tmp_path / "nowhere", [write_bundle()])
    with pytest.raises(StorageError):
        release.add_release(publisher, [tmp_path / "nothing.flota"])
    with pytest.raises(TrustError) as caught:
        release.get_release(publisher, "motion", "7.0.0")
    assert caught.value.code == "release.unknown"


def test_killed_at_any_step_the_publisher_can_go_on(
    publisher: Path, tmp_path: Path, write_bundle: Callable[..., Path], killed_before: Any
) -> None:
    """What is listed is there with its bytes, and the same command run again gives what it would have given."""
    paths = [write_bundle(extra=_images()), write_bundle(target="cortex-m4f-tflm")]
    now = time.time()
    shutil.copytree(publisher, tmp_path / "before")
    release.add_release(publisher, paths, now=now)
    expected = _snapshot(publisher)
    step = 0
    while True:
        shutil.rmtree(publisher)
        shutil.copytree(tmp_path / "before", publisher)
        if not killed_before(step, lambda: release.add_release(publisher, paths, now=now)):
            break
        assert release.list_releases(publisher) == []
        release.init_publisher(publisher, now=now)
        release.add_release(publisher, paths, now=now)
        assert _snapshot(publisher) == expected
        step += 1
    assert step >= 6


def test_killed_at_any_step_init_can_go_on(tmp_path: Path, server_keys: Path, killed_before: Any) -> None:
    keys, folder, step = ServerKeys.from_file(server_keys), tmp_path / "p", 0
    while killed_before(step, lambda: release.init_publisher(folder, keys)):
        state = release.init_publisher(folder, keys)
        assert (state.root_version, state.targets_version) == (1, 1)
        assert not list(folder.rglob(".*.tmp"))
        shutil.rmtree(folder)
        step += 1
    assert step >= 12


def test_commands_at_the_same_time_lose_nothing(publisher: Path, write_bundle: Callable[..., Path]) -> None:
    paths = [write_bundle(version=f"1.{number}.0") for number in range(6)]
    threads = [threading.Thread(target=release.add_release, args=(publisher, [path])) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(release.list_releases(publisher)) == len(paths)


# ---- images


def _stored(publisher: Path, made: release.Release) -> bundle.Bundle:
    return bundle.read(publisher / "repository" / "targets" / made.bundles[0].path)


def test_images_are_signed_with_the_image_key(publisher: Path, write_bundle: Callable[..., Path]) -> None:
    made = release.add_release(publisher, [write_bundle(target="cortex-m4f-aot", extra=_images())], security_floor=3)
    stored = _stored(publisher, made)
    key: Any = load_pem_public_key((publisher / "keys" / "image.pub.pem").read_bytes())
    assert stored.manifest.security_floor == made.security_floor == 3
    for slot in "ab":
        image = stored.files[f"images/{BOARD}/{slot}.img"]
        verify_image(image, key)
        assert parse_image(image).security_counter == 3
        changed = bytearray(image)
        changed[-1] ^= 1
        with pytest.raises(ImageBadSignature):
            verify_image(bytes(changed), key)


def test_two_publishers_differ_only_in_signatures(
    tmp_path: Path, publisher: Path, write_bundle: Callable[..., Path]
) -> None:
    other = tmp_path / "other"
    release.init_publisher(other)
    path = write_bundle(extra=_images())
    one = _stored(publisher, release.add_release(publisher, [path]))
    two = _stored(other, release.add_release(other, [path]))
    name = f"images/{BOARD}/a.img"
    assert one.files[name] != two.files[name]
    assert one.files[name][SIGNATURE_BYTES:] == two.files[name][SIGNATURE_BYTES:]


@pytest.mark.parametrize(
    "images",
    [
        _images(model="vowels"),
        _images(version="1.0.1"),
        _images(board="other-board"),
        {f"images/{BOARD}/a.img": _image("B")},
        {f"images/{BOARD}/a.img": _image()[:-1]},
        {f"images/{BOARD}/a.img": b"no image"},
        {"images/a.img": _image()},
    ],
    ids=["model", "version", "board", "slot", "truncated", "garbage", "no-board"],
)
def test_an_image_that_does_not_belong_is_not_signed(
    publisher: Path, write_bundle: Callable[..., Path], images: dict[str, bytes]
) -> None:
    before = _snapshot(publisher)
    with pytest.raises((BundleError, ImageError)):
        release.add_release(publisher, [write_bundle(extra=images)])
    assert _snapshot(publisher) == before


# ---- publish


class _Server:
    """Publishes into a repository in this process."""

    def __init__(self, repository: OnlineRepository) -> None:
        self.repository = repository
        self.sent: list[str] = []

    def publish_release(self, targets_json: bytes, root_json: bytes | None, files: Any) -> object:
        self.sent = sorted(files)
        return self.repository.accept(targets_json, root_json, files)


def test_publish_reaches_the_server(publisher: Path, tmp_path: Path, write_bundle: Callable[..., Path]) -> None:
    made = release.add_release(publisher, [write_bundle()])
    server = _Server(OnlineRepository(tmp_path / "server"))
    assert release.publish(publisher, server) == 2
    assert server.repository.target(made.bundles[0].path) == made.bundles[0]
    known = {info.sha256 for info in server.repository.targets()}
    release.add_release(publisher, [write_bundle(version="1.1.0")])
    release.publish(publisher, server, skip=known)
    assert server.sent == ["motion/1.1.0/motion-1.1.0-linux-litert.flota"]


def test_several_root_rotations_between_two_uploads(publisher: Path, tmp_path: Path) -> None:
    repository = OnlineRepository(tmp_path / "server")
    release.publish(publisher, _Server(repository))
    for share in (0.6, 1.2):
        release.init_publisher(publisher, now=time.time() + LIFETIMES.root_days * DAY_S * share)
    release.publish(publisher, _Server(repository))
    assert json.loads(repository.root())["signed"]["version"] == 3
    assert json.loads(repository.metadata("2.root.json"))["signed"]["version"] == 2


def test_publish_before_the_server_is_known(tmp_path: Path, write_bundle: Callable[..., Path]) -> None:
    release.init_publisher(tmp_path / "p")
    release.add_release(tmp_path / "p", [write_bundle()])
    with pytest.raises(NoRepository):
        release.publish(tmp_path / "p", _Server(OnlineRepository(tmp_path / "server")))


def test_a_file_damaged_in_the_publisher_folder_is_not_sent(
    publisher: Path, tmp_path: Path, write_bundle: Callable[..., Path]
) -> None:
    made = release.add_release(publisher, [write_bundle()])
    (publisher / "repository" / "targets" / made.bundles[0].path).write_bytes(b"damaged")
    server = _Server(OnlineRepository(tmp_path / "server"))
    with pytest.raises(TrustError):
        release.publish(publisher, server)
    assert server.sent == []


# ---- command line


def test_the_command_line(tmp_path: Path, server_keys: Path, write_bundle: Callable[..., Path], capsys: Any) -> None:
    folder = ["--publisher", str(tmp_path / "p")]
    assert run(["release", "init", *folder, "--server-keys", str(server_keys), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["root_version"] == 1
    assert run(["release", "create", str(write_bundle()), *folder, "--security-floor", "2", "--json"]) == 0
    created = json.loads(capsys.readouterr().out)
    assert (created["model"], created["version"], created["security_floor"]) == ("motion", "1.0.0", 2)
    assert run(["release", "list", *folder, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [created]
    assert run(["release", "show", "motion", "1.0.0", *folder, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == created
    assert run(["release", "list", *folder]) == 0
    assert "linux-litert" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["show", "motion", "1.0.0"],
        ["create", "nothing.flota"],
        ["init", "--server-keys", "nothing.json"],
    ],
)
def test_the_command_line_refuses_clearly(tmp_path: Path, arguments: list[str], capsys: Any) -> None:
    assert run(["release", *arguments, "--publisher", str(tmp_path / "p")]) != 0
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: ")
    assert "hint: " in output.err
