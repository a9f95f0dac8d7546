"""The director key is replaced by commands while releases go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet_server.config import Settings
from fleet_server.setup import init_server, rotate_director
from flota import cli, release
from flota.trust.config import LIMITS
from flota.trust.keys import ServerKeys
from flota.trust.online import OnlineRepository


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return init_server(tmp_path / "server", Settings(), None).folder


class _Upload:
    """The server's repository, as the publisher sees it over HTTP."""

    def __init__(self, folder: Path) -> None:
        self.repository = OnlineRepository(folder / "trust")

    def publish_release(self, targets_json: bytes, root_json: bytes | None, files: dict[str, Path]) -> object:
        return self.repository.accept(targets_json, root_json, files)


def publish(folder: Path, publisher: Path) -> str:
    """As `flota release init` and `publish`; the id of the key that signs then."""
    upload = _Upload(folder)
    release.init_publisher(publisher, ServerKeys.from_file(folder / "server-keys.json"))
    release.publish(publisher, upload)
    return str(upload.repository.director_signer().public_key.keyid)


def test_a_new_key_signs_once_it_is_published_and_the_old_one_can_go(folder: Path, tmp_path: Path) -> None:
    old = publish(folder, tmp_path / "publisher")
    assert cli.run(["server", "rotate-director", str(folder)]) == 0
    assert _Upload(folder).repository.director_signer().public_key.keyid == old
    new = publish(folder, tmp_path / "publisher")
    assert new != old
    assert cli.run(["server", "rotate-director", str(folder), "--retire", "--json"]) == 0
    assert [key.keyid for key in ServerKeys.from_file(folder / "server-keys.json").director] == [new]
    assert publish(folder, tmp_path / "publisher") == new


def test_one_key_more_than_devices_take_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(LIMITS.director_keys - 1):
        rotate_director(folder, retire=False)
    before = (folder / "server-keys.json").read_bytes()
    assert cli.run(["server", "rotate-director", str(folder)]) == 2
    assert "--retire" in capsys.readouterr().err
    assert (folder / "server-keys.json").read_bytes() == before


def test_a_folder_that_is_no_server_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["server", "rotate-director", str(tmp_path)]) == 1
    assert "flota server init" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
