"""Bundles, and processes that are killed at a chosen write, for the tests of this folder."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from sample_bundles import sample_bundle

from flota import bundle

MakeFiles = Callable[..., tuple[bundle.Manifest, dict[str, bytes]]]


@pytest.fixture
def make_bundle() -> MakeFiles:
    """A manifest and its files; keyword arguments change them."""
    return sample_bundle


@pytest.fixture
def write_bundle(tmp_path: Path) -> Callable[..., Path]:
    """The path of a bundle written to disk; keyword arguments as for ``make_bundle``."""

    def write(**changes: object) -> Path:
        manifest, files = sample_bundle(**changes)  # type: ignore[arg-type]
        return bundle.write(tmp_path / "bundles", manifest, files)

    return write


def _in_child(action: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        try:
            action()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _killed_before(step: int, action: Callable[[], object]) -> bool:
    def kill_at_step(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal step
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in {"os.rename", "os.remove", "os.mkdir"}:
            step -= 1
            if step < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def run() -> None:
        sys.addaudithook(kill_at_step)
        action()

    code = _in_child(run)
    assert code in (0, -signal.SIGKILL)
    return code != 0


@pytest.fixture
def in_child() -> Callable[[Callable[[], object]], int]:
    """Run a function in a forked process; its exit status, 1 if it raised, negative for a signal."""
    return _in_child


@pytest.fixture
def killed_before() -> Callable[[int, Callable[[], object]], bool]:
    """Run a function in a process that is killed (SIGKILL) just before it touches the disk for the n-th time.

    Gives False when the function ended before that: then every step was tried.
    """
    return _killed_before
