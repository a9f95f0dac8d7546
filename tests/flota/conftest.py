"""Small, valid bundles, and processes that are killed at a chosen write, for the tests of this folder."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from flota import bundle

MakeFiles = Callable[..., tuple[bundle.Manifest, dict[str, bytes]]]


def _make(
    *,
    model: str = "motion",
    version: str = "1.0.0",
    target: str = "linux-litert",
    payload: bytes = b"weights",
    security_floor: int = 0,
    extra: Mapping[str, bytes] | None = None,
) -> tuple[bundle.Manifest, dict[str, bytes]]:
    files = {
        "model.tflite": payload,
        "golden/inputs.bin": bytes(range(12)),
        "golden/outputs.bin": bytes(range(8)),
        **(extra or {}),
    }
    tensor = bundle.TensorSignature(name="x", shape=(1, 3), dtype="int8", scale=0.5, zero_point=-3)
    manifest = bundle.Manifest(
        model=model,
        version=version,
        target=target,
        security_floor=security_floor,
        labels=("up", "down"),
        payload="model.tflite",
        files=bundle.file_entries(files),
        inputs=(tensor,),
        outputs=(tensor.model_copy(update={"name": "y", "shape": (1, 2)}),),
        golden=bundle.GoldenVectors(count=4, inputs="golden/inputs.bin", outputs="golden/outputs.bin"),
        requires=bundle.Requirements(runtime="litert", arena_bytes=1024),
        accuracy=bundle.Accuracy(
            metric="accuracy",
            value=0.9,
            low=0.8,
            high=0.95,
            float_value=0.91,
            count=40,
            dataset="a test set",
            dataset_sha256="0" * 64,
        ),
        histograms=(bundle.FeatureHistogram(name="x", edges=(0.0, 0.1, 1.0), counts=(3, 4)),),
        provenance=bundle.Provenance(
            source_sha256="1" * 64, config_sha256="2" * 64, git_commit="", seed=7, tools={"python": "3.11"}
        ),
    )
    return manifest, files


@pytest.fixture
def make_bundle() -> MakeFiles:
    """A manifest and its files; keyword arguments change them."""
    return _make


@pytest.fixture
def write_bundle(tmp_path: Path) -> Callable[..., Path]:
    """The path of a bundle written to disk; keyword arguments as for ``make_bundle``."""

    def write(**changes: object) -> Path:
        manifest, files = _make(**changes)  # type: ignore[arg-type]
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
