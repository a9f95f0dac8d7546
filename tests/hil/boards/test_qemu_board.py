from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from flota.errors import MissingTool, StorageError
from flota.toolchain import build_firmware
from hil.boards import QemuBoard
from hil.boards.qemu import qemu_version
from hil.boards.service import keep_running
from hil.errors import BoardFailed, FlashUnusable, PortInUse, UnknownBoard

pytestmark = pytest.mark.emulated
BOARD = "qemu-mps2-an386"


def say(port: str, data: bytes, answer_bytes: int) -> bytes:
    with serial.serial_for_url(port, timeout=10) as line:
        line.write(data)
        return bytes(line.read(answer_bytes))


def hello(port: str) -> bytes:
    """The boot counter; asked again until the processor is up (a byte sent during reset is lost, as on a real line)."""
    with serial.serial_for_url(port, timeout=0.5) as line:
        for _ in range(40):
            line.write(b"H")
            if answer := line.read(7):
                return bytes(answer)
    raise AssertionError("the board says nothing")


@pytest.fixture
def board(tmp_path: Path, echo_elf: Path) -> Iterator[QemuBoard]:
    with QemuBoard(flash=tmp_path / "flash.bin", firmware_elf=echo_elf) as started:
        yield started


def test_a_client_may_come_go_and_come_back(board: QemuBoard) -> None:
    for text in (b"one", b"two", b"three"):
        assert say(board.port, text, len(text)) == text


def test_a_processor_reset_keeps_line_and_flash(board: QemuBoard) -> None:
    assert hello(board.port) == b"boot 1\n"
    with serial.serial_for_url(board.port, timeout=10) as line:
        line.write(b"R")
    assert hello(board.port) == b"boot 2\n"
    board.reset()
    assert hello(board.port) == b"boot 3\n"


def test_a_power_cut_keeps_flash_and_port(board: QemuBoard) -> None:
    port = board.port
    assert hello(port) == b"boot 1\n"
    board.power_cut()
    assert not board.running
    assert board.process_id is None
    board.restart()
    assert board.port == port
    assert hello(port) == b"boot 2\n"
    assert board.flash.read_bytes()[:4] == (2).to_bytes(4, "little")


def test_an_open_line_ends_with_the_power(board: QemuBoard) -> None:
    with socket.create_connection(("127.0.0.1", int(board.port.rsplit(":", 1)[1])), timeout=10) as line:
        line.sendall(b"x")
        assert line.recv(1) == b"x"
        board.power_cut()
        with contextlib.suppress(ConnectionResetError):
            assert line.recv(1) == b""


def test_start_twice_is_one_board(board: QemuBoard) -> None:
    process = board.process_id
    board.start()
    assert board.process_id == process
    assert not board.wait(0.01)


def test_close_ends_the_emulator_and_frees_the_flash(tmp_path: Path, echo_elf: Path) -> None:
    flash = tmp_path / "flash.bin"
    with QemuBoard(flash=flash, firmware_elf=echo_elf) as board:
        process = board.process_id
        assert process is not None
        with pytest.raises(FlashUnusable, match="another board"):
            QemuBoard(flash=flash, firmware_elf=echo_elf)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    board.close()
    with QemuBoard(flash=flash, firmware_elf=echo_elf) as again:
        assert again.running


def test_a_board_started_in_a_thread_outlives_the_thread(tmp_path: Path, echo_elf: Path) -> None:
    board = QemuBoard(flash=tmp_path / "flash.bin", firmware_elf=echo_elf)
    thread = threading.Thread(target=board.start)
    thread.start()
    thread.join()
    try:
        assert say(board.port, b"here", 4) == b"here"
    finally:
        board.close()


def test_the_emulator_dies_with_a_killed_parent(tmp_path: Path, echo_elf: Path) -> None:
    program = (
        "import sys, signal; from pathlib import Path; from hil.boards import QemuBoard\n"
        "board = QemuBoard(flash=Path(sys.argv[1]), firmware_elf=Path(sys.argv[2])); board.start()\n"
        "print(board.process_id, flush=True); signal.pause()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "flash.bin"), str(echo_elf)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        emulator = int(parent.stdout.readline())
        watch = os.pidfd_open(emulator)
        parent.send_signal(signal.SIGKILL)
    try:
        assert _ends(watch, timeout_s=10)
    finally:
        os.close(watch)


def _ends(watch: int, *, timeout_s: float) -> bool:
    return bool(select.select([watch], [], [], timeout_s)[0])


def test_a_new_flash_is_erased_and_has_the_boards_size(board: QemuBoard) -> None:
    data = board.flash.read_bytes()
    assert len(data) == 16 << 20
    assert data[4:] == b"\xff" * (len(data) - 4)


def test_flash_of_another_size_is_refused_and_left_alone(tmp_path: Path, echo_elf: Path) -> None:
    flash = tmp_path / "flash.bin"
    flash.write_bytes(b"mine")
    with pytest.raises(FlashUnusable, match="4 bytes"):
        QemuBoard(flash=flash, firmware_elf=echo_elf)
    assert flash.read_bytes() == b"mine"


def test_a_flash_that_is_part_of_a_larger_memory_is_the_beginning_of_a_file_with_a_hole(tmp_path: Path) -> None:
    flash = tmp_path / "flash.bin"
    elf = build_firmware("qemu-mps3-an547", tmp_path / "firmware").elf
    with QemuBoard("qemu-mps3-an547", flash=flash, firmware_elf=elf) as board:
        assert board.running
    found = flash.stat()
    assert found.st_size == 2 << 30
    assert found.st_blocks * 512 < 32 << 20
    with flash.open("rb") as stream:
        assert stream.read((16 << 20) + 1) == b"\xff" * (16 << 20) + b"\0"


def test_a_taken_port_is_refused_before_anything_is_written(tmp_path: Path, echo_elf: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=str(port)):
            QemuBoard(flash=tmp_path / "flash.bin", firmware_elf=echo_elf, tcp_port=port)
    assert not (tmp_path / "flash.bin").exists()


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"MZ" * 50, Path(sys.executable).read_bytes()[:64]])
def test_a_firmware_that_is_no_arm_program_is_refused(tmp_path: Path, content: bytes) -> None:
    elf = tmp_path / "bad.elf"
    elf.write_bytes(content)
    with pytest.raises(BoardFailed, match="not a 32-bit Arm program"):
        QemuBoard(flash=tmp_path / "flash.bin", firmware_elf=elf)
    assert not (tmp_path / "flash.bin").exists()


def test_a_board_that_cannot_start_gives_the_emulators_words(tmp_path: Path, echo_elf: Path) -> None:
    elf = tmp_path / "copy.elf"
    elf.write_bytes(echo_elf.read_bytes())
    board = QemuBoard(flash=tmp_path / "flash.bin", firmware_elf=elf)
    elf.unlink()
    with pytest.raises(BoardFailed, match=r"did not start: .*[Cc]ould not"):
        board.start()
    assert not board.running
    board.close()


def test_an_emulator_that_ends_by_itself_is_noticed(board: QemuBoard) -> None:
    assert board.process_id is not None
    os.kill(board.process_id, signal.SIGKILL)
    assert board.wait(10)
    with pytest.raises(BoardFailed, match="is off"):
        board.reset()
    with pytest.raises(BoardFailed, match="ended"):
        keep_running(board, threading.Event())


@pytest.mark.parametrize("name", ["qemu-mps2-an387", "host"])
def test_unknown_board(name: str, tmp_path: Path, echo_elf: Path) -> None:
    with pytest.raises(UnknownBoard):
        QemuBoard(name, flash=tmp_path / "flash.bin", firmware_elf=echo_elf)
    assert not (tmp_path / "flash.bin").exists()


def test_missing_firmware(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"none\.elf"):
        QemuBoard(flash=tmp_path / "flash.bin", firmware_elf=tmp_path / "none.elf")
    assert not (tmp_path / "flash.bin").exists()


def test_missing_qemu_names_the_package(tmp_path: Path, echo_elf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool) as caught:
        QemuBoard(flash=tmp_path / "flash.bin", firmware_elf=echo_elf)
    assert "apt-get install qemu-system-arm" in caught.value.hint


def test_the_emulators_version_is_known() -> None:
    assert qemu_version("qemu-system-arm")[0].isdigit()
