"""Durable writes: the old bytes or the new ones, whatever happens in between."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flota.errors import StorageError
from flota.files import open_atomic, sha256_file, sha256_hex, shown_name, sweep_leftovers, write_atomic


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@given(st.binary(max_size=5000), st.binary(max_size=5000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_what_is_written_is_read(tmp_path: Path, first: bytes, second: bytes) -> None:
    path = tmp_path / "folder" / "file"
    for data in (first, second):
        write_atomic(path, data)
        assert path.read_bytes() == data
        assert sha256_file(path) == sha256_hex(data) == hashlib.sha256(data).hexdigest()
    assert _names(path.parent) == ["file"]


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_mode_is_exact_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    before = os.umask(0o077 if mode == 0o644 else 0)
    try:
        write_atomic(tmp_path / "file", b"x", mode=mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_a_secret_is_never_readable_by_others_not_even_while_it_is_written(tmp_path: Path) -> None:
    with open_atomic(tmp_path / "key", mode=0o600) as stream:
        stream.write(b"secret")
        (temporary,) = tmp_path.iterdir()
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600


def test_an_error_of_the_writer_leaves_the_old_file(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", b"old")

    def write_half() -> None:
        with open_atomic(tmp_path / "file") as stream:
            stream.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert (tmp_path / "file").read_bytes() == b"old"
    assert _names(tmp_path) == ["file"]


def test_a_reader_in_the_middle_sees_the_old_file(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", b"old")
    with open_atomic(tmp_path / "file") as stream:
        stream.write(b"new")
        stream.flush()
        assert (tmp_path / "file").read_bytes() == b"old"
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_disk_that_is_full_leaves_the_old_file(
    tmp_path: Path, in_child: Callable[[Callable[[], object]], int]
) -> None:
    """A file-size limit stands in for the full disk: the kernel refuses the same write with another errno."""
    write_atomic(tmp_path / "file", b"old")

    def write_too_much() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        with pytest.raises(StorageError) as caught:
            write_atomic(tmp_path / "file", bytes(10_000))
        assert caught.value.hint

    assert in_child(write_too_much) == 0
    assert (tmp_path / "file").read_bytes() == b"old"
    assert _names(tmp_path) == ["file"]


def test_killed_at_any_step_it_is_the_old_file_or_the_new(
    tmp_path: Path, killed_before: Callable[[int, Callable[[], object]], bool]
) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")
    step = 0
    while killed_before(step, lambda: write_atomic(path, b"new")):
        assert path.read_bytes() == b"old"
        sweep_leftovers(tmp_path)
        assert _names(tmp_path) == ["file"]
        step += 1
    assert step >= 2
    assert path.read_bytes() == b"new"


def test_sweeping_spares_everything_else(tmp_path: Path) -> None:
    for name in (".lock", ".hidden", "file.tmp", "file"):
        (tmp_path / name).write_bytes(b"")
    sweep_leftovers(tmp_path)
    assert _names(tmp_path) == [".hidden", ".lock", "file", "file.tmp"]
    sweep_leftovers(tmp_path / "nowhere")


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(StorageError):
        write_atomic(tmp_path / "file", b"x")
    (tmp_path / "plain").write_bytes(b"")
    with pytest.raises(StorageError):
        write_atomic(tmp_path / "plain" / "below", b"x")
    assert _names(tmp_path) == ["file", "plain"]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nothing"):
        sha256_file(tmp_path / "nothing")


def test_a_very_long_name(tmp_path: Path) -> None:
    write_atomic(tmp_path / ("n" * 255), b"x")
    with pytest.raises(StorageError):
        write_atomic(tmp_path / ("n" * 256), b"x")
    assert _names(tmp_path) == ["n" * 255]


def test_a_name_is_shown_on_one_line() -> None:
    assert shown_name("a b-ü") == "a b-ü"
    assert shown_name("a\nb\x1b\udcff") == "a\ufffdb\ufffd\ufffd"


def test_a_pipe_is_written_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomic(pipe, b"rows")
        assert os.read(reader, 16) == b"rows"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_standard_output_by_its_name_stays_a_link(tmp_path: Path) -> None:
    """Replacing what /dev/stdout leads to would lose the output; replacing the link would break the machine."""
    script = "from pathlib import Path; from flota.files import write_atomic as w; w(Path('/dev/fd/1'), b'rows')"
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", script], stdout=out, check=True)
    assert (tmp_path / "out").read_bytes() == b"rows"


def test_a_full_device_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match="No space left on device"):
        write_atomic(Path("/dev/full"), b"rows")
    assert Path("/dev/full").is_char_device()
