"""What the agent needs of a device, whatever it is: fill the other slot, test it, switch, go back, infer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from device_agent.errors import SelfTestMismatch, WrongTarget
from device_agent.state import AgentState, Job
from flota.bundle import Bundle, Manifest, TensorSignature
from flota.messages import DeviceKind, Running


@dataclass(frozen=True, slots=True)
class Answer:
    """One inference: the output tensors' bytes, and what it cost in the model's unit."""

    outputs: bytes
    cost: float


class ModelClosed(Exception):
    """The model was replaced while a request waited for it; ask the one that serves now."""


class Model(Protocol):
    """A version that can infer."""

    @property
    def manifest(self) -> Manifest:
        """Of its bundle."""
        ...

    @property
    def golden(self) -> Sequence[tuple[bytes, bytes]]:
        """(input bytes, expected output bytes) of each golden vector."""
        ...

    @property
    def unit(self) -> str:
        """Of an answer's cost: ``ms`` (wall clock) or ``instructions`` (counted by the board)."""
        ...

    def infer(self, case: bytes) -> Answer:
        """Run one case. Thread-safe; blocks.

        Raises:
            RuntimeFailure, BoardAbsent: The inference failed.
            ModelClosed: Another version has taken over.
        """
        ...


class Installer(Protocol):
    """One device. Every method blocks, so it runs in a worker thread, one at a time; each may be repeated.

    All raise :class:`flota.errors.FlotaError`; :class:`device_agent.errors.BoardAbsent` means «try again later».
    """

    @property
    def kind(self) -> DeviceKind:
        """What runs the model."""
        ...

    @property
    def targets(self) -> tuple[str, ...]:
        """Targets of the bundles it can run."""
        ...

    @property
    def board(self) -> str:
        """The board's name; empty on Linux or while it was never seen."""
        ...

    @property
    def model(self) -> Model | None:
        """What serves now."""
        ...

    def recover(self, state: AgentState) -> Running | None:
        """Load what the device runs and say what that is; None: nothing. ``since`` is 0 where it is not known."""
        ...

    def check(self, bundle: Bundle) -> None:
        """Raise an :class:`device_agent.errors.Unsuitable` if the bundle is not for this device."""
        ...

    def install(self, job: Job, archive: Path) -> None:
        """Put the verified bundle file into the job's slot; the file may have been moved there before a crash."""
        ...

    def self_test(self, job: Job) -> None:
        """Hold the job's slot against its golden vectors as far as that goes without switching to it."""
        ...

    def activate(self, job: Job) -> None:
        """Switch to the job's slot."""
        ...

    def check_running(self, job: Job) -> None:
        """Raise BoardFellBack if the device left the job's slot by itself."""
        ...

    def confirm(self, job: Job) -> None:
        """Make the switch final."""
        ...

    def revert(self, job: Job, former: Running | None) -> None:
        """Serve ``former`` again; None: there was nothing before."""
        ...

    def close(self) -> None:
        """Let go of the device."""
        ...


def check_target(bundle: Bundle, targets: Sequence[str]) -> None:
    """Raise WrongTarget if the bundle is for none of ``targets``."""
    if bundle.manifest.target not in targets:
        raise WrongTarget(
            f"the bundle is for {bundle.manifest.target}, this device runs {' or '.join(targets)}",
            hint="assign the release's bundle for this device's target",
        )


def outputs_match(manifest: Manifest, expected: bytes, given: bytes) -> bool:
    """Whether outputs are the golden ones: byte for byte, or float tensors within the manifest's tolerance."""
    if expected == given:
        return True
    if manifest.golden.tolerance == 0 or len(expected) != len(given):
        return False
    offset = 0
    for tensor in manifest.outputs:
        piece = slice(offset, offset + tensor.size_bytes)
        if not _tensor_matches(tensor, expected[piece], given[piece], manifest.golden.tolerance):
            return False
        offset += tensor.size_bytes
    return True


def check_golden(manifest: Manifest, number: int, expected: bytes, given: bytes) -> None:
    """Raise SelfTestMismatch if golden vector ``number`` gave something else than it must."""
    if not outputs_match(manifest, expected, given):
        raise SelfTestMismatch(
            f"{manifest.model} {manifest.version}: golden vector {number} gave another output",
            hint="the device's runtime computes other values than the one the bundle was made with",
        )


def _tensor_matches(tensor: TensorSignature, expected: bytes, given: bytes, tolerance: float) -> bool:
    if tensor.dtype != "float32":
        return expected == given
    one, other = np.frombuffer(expected, np.float32), np.frombuffer(given, np.float32)
    return bool(np.allclose(one, other, rtol=0, atol=tolerance, equal_nan=True))
