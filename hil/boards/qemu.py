"""How an emulated board is driven: QEMU with file-backed flash, counted instructions and a serial line on loopback.

* A file holds the flash (shared mapping), so it survives a kill: :meth:`QemuBoard.power_cut` is SIGKILL.
* ``-icount shift=0``: one instruction is one nanosecond of the board's clock, the same count on every run.
* The serial line is a listening socket that this process opens and QEMU inherits. Nobody can take the port between
  choosing and using it, it stays the same when the board is restarted, and a client may come, go and come back.
* The emulator dies with this process, even with ``kill -9`` (see :mod:`hil.boards.leash`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO

from flota.boardlink.geometry import find_geometry
from flota.errors import StorageError
from flota.programs import find_program, install_command
from hil.boards.launch import start_leashed
from hil.boards.qmp import QmpMonitor
from hil.boards.resources import EmulatedMcu, find_board
from hil.errors import BoardFailed, FlashUnusable, PortInUse, UnknownBoard

START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 10.0
_ERASED_PIECE = b"\xff" * (1 << 20)
_ELF_HEADER = struct.Struct("<5s13sH")  # magic and 32-bit class; unused here; machine
_EM_ARM = 40


class QemuBoard:
    """One emulated board; a context manager that starts it and, at the end, switches it off.

    Args:
        board: Its name, as in ``flota board list``.
        flash: The file that holds its flash. Made (erased, 0xFF) when it does not exist.
        firmware_elf: The base firmware it boots.
        tcp_port: Loopback port of the serial line; 0 lets the system choose one.
        start_timeout_s: How long QEMU may take until the machine runs.

    Raises:
        UnknownBoard: No emulated board of that name.
        MissingTool: QEMU is not installed.
        FlashUnusable: The file has another size, or a running board has it.
        PortInUse: ``tcp_port`` is taken.
        StorageError: The flash or the firmware cannot be read.
        BoardFailed: The firmware is no Arm program.
    """

    def __init__(
        self,
        board: str = "qemu-mps2-an386",
        *,
        flash: Path,
        firmware_elf: Path,
        tcp_port: int = 0,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        self.resource = _emulated(board)
        self._program = find_program(self.resource.program)
        self._firmware_elf = _arm_program(firmware_elf)
        self._flash = flash
        flash_bytes = find_geometry(board).flash.bytes
        self._file_bytes = self.resource.backend_bytes or flash_bytes
        self._start_timeout_s = start_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._monitor: QmpMonitor | None = None
        self._log: IO[bytes] | None = None
        self._listener = _listen(tcp_port)
        try:
            self._flash_lock = _open_flash(flash, flash_bytes, self._file_bytes)
        except BaseException:
            self._listener.close()
            raise

    @property
    def port(self) -> str:
        """pyserial URL of the board's serial line, for example ``socket://127.0.0.1:41234``."""
        host, port = self._listener.getsockname()[:2]
        return f"socket://{host}:{port}"

    @property
    def flash(self) -> Path:
        """The file that holds the flash. Change it only while the board is off."""
        return self._flash

    @property
    def running(self) -> bool:
        """Whether the emulator runs now."""
        return self._process is not None and self._process.poll() is None

    @property
    def process_id(self) -> int | None:
        """The emulator's process id, None while the board is off."""
        return self._process.pid if self._process is not None and self.running else None

    def start(self) -> None:
        """Switch on and wait until the machine runs; does nothing when it is on.

        Raises:
            BoardFailed: QEMU stopped or did not come up in time; the message carries its last words.
        """
        if self.running:
            return
        self._forget()
        ours, theirs = socket.socketpair()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the board is switched off
        self._monitor = QmpMonitor(ours, timeout_s=self._start_timeout_s)
        with theirs:
            command = self._command(self._listener.fileno(), theirs.fileno())
            fds = (self._listener.fileno(), theirs.fileno())
            self._process = start_leashed(command, log=self._log, fds=fds)
        try:
            self._monitor.handshake()
        except BoardFailed as error:
            raise self._start_failure(error) from error

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the emulator ends by itself; False when it still runs after ``timeout_s`` seconds."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def reset(self) -> None:
        """Press the board's reset button: the processor restarts, memory and the serial line stay as they are.

        Raises:
            BoardFailed: The board is off, or QEMU does not answer.
        """
        if self._monitor is None or not self.running:
            raise BoardFailed(f"{self.resource.name} is off", hint="start the board first")
        self._monitor.execute("system_reset")

    def power_cut(self) -> None:
        """Kill the emulator in the middle of whatever it does; the flash keeps every byte written so far."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_STOP_TIMEOUT_S)
        self._forget()

    def restart(self) -> None:
        """Cut the power, then start again on the same flash and the same port."""
        self.power_cut()
        self.start()

    def close(self) -> None:
        """Switch off and free the port and the flash. Calling it again does nothing."""
        self.power_cut()
        self._listener.close()
        if self._flash_lock >= 0:
            os.close(self._flash_lock)
            self._flash_lock = -1

    def last_words(self) -> str:
        """The line of the emulator's standard error that says why it ended; empty when it said nothing."""
        if self._log is None:
            return ""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        lines = [line for line in lines if ": warning: " not in line]
        named = [line for line in lines if line.startswith("qemu")]  # a register dump follows a fatal error
        return (named or lines[-1:] or [""])[0]

    def __enter__(self) -> QemuBoard:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _command(self, serial_fd: int, monitor_fd: int) -> list[str]:
        resource = self.resource
        backend = f"memory-backend-file,id={resource.flash_backend},size={self._file_bytes},share=on"
        return [
            self._program,
            *("-machine", f"{resource.machine},memory-backend={resource.flash_backend}"),
            *("-object", f"{backend},mem-path={_escaped(self._flash)}"),
            *("-icount", "shift=0"),
            *("-kernel", str(self._firmware_elf)),
            *("-display", "none", "-nodefaults", "-no-user-config"),
            *("-chardev", f"socket,id=uart0,fd={serial_fd},server=on,wait=off,nodelay=on", "-serial", "chardev:uart0"),
            *("-chardev", f"socket,id=qmp,fd={monitor_fd}", "-mon", "chardev=qmp,mode=control"),
        ]

    def _start_failure(self, error: BoardFailed) -> BoardFailed:
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)  # it closed the monitor: let it finish its message
        reason = self.last_words() or error.message
        self.power_cut()
        return BoardFailed(f"{self.resource.name} did not start: {reason}", hint="check the firmware and flash files")

    def _forget(self) -> None:
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None
        if self._log is not None:
            self._log.close()
            self._log = None
        self._process = None


def qemu_version(program: str) -> str:
    """The emulator's own version string, for example ``7.2.22``.

    Raises:
        MissingTool: It is not installed.
        BoardFailed: It does not run.
    """
    try:
        answer = subprocess.run(
            [find_program(program), "--version"], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise BoardFailed(f"{program} does not run: {error}", hint=install_command(program)) from error
    words = answer.stdout.split()
    return words[3] if len(words) > 3 else answer.stdout.strip()


def _emulated(name: str) -> EmulatedMcu:
    resource = find_board(name)
    if not isinstance(resource, EmulatedMcu):
        raise UnknownBoard(f"{name} is not an emulated board", hint="see `flota board list`")
    return resource


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(1)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"port {port} is in use", hint="choose another port, or 0 for a free one") from error
        raise BoardFailed(f"cannot listen on 127.0.0.1:{port}: {error.strerror}") from error
    return listener


def _open_flash(path: Path, size: int, file_size: int) -> int:
    """Make the flash file if there is none, lock it, and return the descriptor that holds the lock.

    ``size`` bytes are the flash; the file has ``file_size``, the rest being a hole.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}", hint="check the folder of the flash file") from error
    try:
        _claim_flash(descriptor, path, size, file_size)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _claim_flash(descriptor: int, path: Path, size: int, file_size: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise FlashUnusable(
            f"{path}: another board runs on this flash file", hint="stop it, or use a file of its own"
        ) from error
    found = os.fstat(descriptor).st_size
    if found not in (0, size, file_size):
        raise FlashUnusable(f"{path}: {found} bytes, this board's flash has {size}", hint="name another file")
    if found == 0:
        _erase(descriptor, path, size)
    _stretch(descriptor, path, file_size)


def _stretch(descriptor: int, path: Path, size: int) -> None:
    try:
        os.ftruncate(descriptor, size)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}", hint="use a file system with sparse files") from error


def _erase(descriptor: int, path: Path, size: int) -> None:
    try:
        for offset in range(0, size, len(_ERASED_PIECE)):
            os.pwrite(descriptor, _ERASED_PIECE, offset)
        os.fsync(descriptor)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
        raise StorageError(f"{path}: {error.strerror}", hint="check free space") from error


def _arm_program(path: Path) -> Path:
    """The path of a 32-bit Arm ELF file; QEMU would load anything else as raw bytes and lock up."""
    try:
        with path.open("rb") as stream:
            start = stream.read(_ELF_HEADER.size)
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror}", hint="name a firmware that exists, or none to build it"
        ) from error
    if len(start) < _ELF_HEADER.size or _ELF_HEADER.unpack(start)[0::2] != (b"\x7fELF\x01", _EM_ARM):
        raise BoardFailed(f"{path}: not a 32-bit Arm program (ELF)", hint="name a firmware, or none to build it")
    return path.resolve()


def _escaped(path: Path) -> str:
    """A path inside a QEMU option list: a comma is written twice."""
    return str(path.resolve()).replace(",", ",,")
