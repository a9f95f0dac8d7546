"""`flota agent` at its edges: each mistake is one line, exit code ≠ 0, nothing written."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from device_agent.config import AgentConfig, Settings, load_config, save_config
from flota.errors import ConfigError


def flota(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "flota", "agent", *arguments], capture_output=True, text=True)


def check_refused(done: subprocess.CompletedProcess[str], code: str) -> None:
    assert done.returncode != 0
    assert f"({code})" in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["run", "status"])
def test_a_folder_without_an_agent(tmp_path: Path, command: str) -> None:
    check_refused(flota(command, str(tmp_path / "nothing")), "agent.not-enrolled")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"--device": "Not A Name"}, "usage"),
        ({"--server": "http://127.0.0.1:1"}, "usage"),
        ({"--ca": "nothing.pem"}, "usage"),
        ({}, "agent.enrolment-failed"),
    ],
)
def test_enrolment_that_cannot_work(tmp_path: Path, changes: dict[str, str], code: str) -> None:
    from flota.trust.ca import CertificateAuthority

    CertificateAuthority.create(tmp_path / "ca")
    options = {"--server": "https://127.0.0.1:1", "--ca": str(tmp_path / "ca" / "ca.pem"), "--device": "press-07"}
    words = [word for pair in {**options, **changes}.items() for word in pair]
    check_refused(flota("enrol", "--token", "T", "--dir", str(tmp_path / "agent"), *words), code)
    assert not (tmp_path / "agent").exists()


def test_the_unit_is_one_that_systemd_reads(tmp_path: Path) -> None:
    done = flota("unit")
    assert done.returncode == 0
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(done.stdout)
    service = unit["Service"]
    assert (service["Restart"], service["Type"], service["ProtectSystem"]) == ("always", "notify", "strict")
    if shutil.which("systemd-analyze"):
        path = tmp_path / "flota-agent@x.service"
        path.write_text(done.stdout.replace("/usr/local/bin/flota", sys.executable))
        checked = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True)
        assert "Unknown" not in checked.stderr, checked.stderr


def test_the_configuration_survives_its_file(tmp_path: Path) -> None:
    settings = Settings(device="a", mqtt_host='ho"st', mqtt_port=1, artifacts_url="https://x", board_port="/dev/t\\y")
    save_config(AgentConfig(tmp_path, settings))
    assert load_config(tmp_path).settings == settings


@pytest.mark.parametrize("text", ["nonsense", "device = 'a'", "\x00", "mqtt_port = 99999999"])
def test_a_broken_configuration_names_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "agent.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"agent\.toml"):
        load_config(tmp_path)
