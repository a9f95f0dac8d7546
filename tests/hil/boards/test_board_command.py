from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from flota.boardlink import BoardLink
from flota.cli import run
from flota.toolchain import FirmwareBuild

pytestmark = pytest.mark.emulated


def start(firmware: FirmwareBuild, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "flota", "board", "run", "--firmware", str(firmware.elf), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise AssertionError(process.communicate(timeout=30)[1])
    return line


def test_a_board_runs_until_it_is_told_to_stop(firmware: FirmwareBuild, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    public = Ed25519PrivateKey.generate().public_key()
    key.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    port_file = tmp_path / "port"
    arguments = ["--flash", str(tmp_path / "flash"), "--provision", str(key), "--port-file", str(port_file)]
    process = start(firmware, *arguments)
    try:
        url = first_line(process)
        with BoardLink(url, timeout_s=20) as link:
            assert link.info().provisioned
            assert link.reset().boots == 2
        with BoardLink(url, timeout_s=20) as link:
            assert link.info().board == "qemu-mps2-an386"
        assert port_file.read_text().strip() == url
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")
    assert not port_file.exists()


def test_a_killed_board_leaves_nothing_behind(firmware: FirmwareBuild, tmp_path: Path) -> None:
    flash = ["--flash", str(tmp_path / "flash")]
    process = start(firmware, *flash)
    port = first_line(process).rsplit(":", 1)[1]
    process.kill()
    process.communicate(timeout=30)
    again = start(firmware, *flash, "--port", port)
    try:
        assert first_line(again).endswith(f":{port}")
    finally:
        again.send_signal(signal.SIGTERM)
        again.communicate(timeout=30)
    assert again.returncode == 0


def test_an_emulator_that_dies_ends_the_command_with_an_error(firmware: FirmwareBuild, tmp_path: Path) -> None:
    process = start(firmware, "--flash", str(tmp_path / "flash"))
    first_line(process)
    children = Path(f"/proc/{process.pid}/task").glob("*/children")
    emulators = [int(child) for file in children for child in file.read_text().split()]
    for emulator in emulators:
        os.kill(emulator, signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "the emulator of qemu-mps2-an386 ended" in err


def test_a_taken_port_is_one_line(firmware: FirmwareBuild, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        arguments = ["--flash", str(tmp_path / "flash"), "--firmware", str(firmware.elf), "--port", port]
        assert run(["board", "run", *arguments]) == 1
    assert f"port {port} is in use (board.port-in-use)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_board_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = tmp_path / "workspace"
    arguments = ["--flash", str(tmp_path / "flash"), "--board", "qemu-mps2", "--workspace", str(workspace)]
    assert run(["board", "run", *arguments]) == 2
    assert "there is no board 'qemu-mps2' (board.unknown)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_list_says_what_is_emulated(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["board", "list", "--json"]) == 0
    boards = {board["name"]: board["emulated"] for board in json.loads(capsys.readouterr().out)}
    assert boards == {"qemu-mps2-an386": True, "qemu-mps3-an547": True, "host": False}
    assert run(["board", "list"]) == 0
    assert "Cortex-M4F" in capsys.readouterr().out
