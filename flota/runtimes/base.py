"""The protocol a runtime implements, and the choice of one for a bundle."""

from __future__ import annotations

from typing import Protocol

from flota.bundle import Bundle
from flota.errors import FlotaError, UsageError


class RuntimeFailure(FlotaError):
    """The runtime could not load the payload or an inference failed."""

    code = "runtime.failed"


class Runtime(Protocol):
    """Runs one loaded model. Not thread-safe; a failed ``infer`` leaves it usable."""

    def infer(self, inputs: bytes) -> bytes:
        """Run one case: the input tensors' bytes in signature order → the output tensors' bytes in that order.

        Raises:
            RuntimeFailure: Wrong input size, or the model failed.
        """
        ...

    def reset(self) -> None:
        """Begin a new stream: what the model remembers of earlier cases gets its initial values.

        Nothing happens where it remembers nothing.

        Raises:
            RuntimeFailure: The runtime is closed, or cannot load the model again.
        """
        ...

    def close(self) -> None:
        """Free what the model holds. Calling it again does nothing."""
        ...


def open_runtime(bundle: Bundle) -> Runtime:
    """The Linux runtime for ``bundle`` (``litert`` or ``tflm``), loaded.

    Raises:
        UsageError: The bundle runs on a board only.
        MissingExtra: The runtime's package is not installed.
        RuntimeFailure: The payload does not load.
    """
    runtime = bundle.manifest.requires.runtime
    if runtime == "litert":
        from flota.runtimes.litert import LiteRtRuntime

        return LiteRtRuntime(bundle.payload(), bundle.manifest.inputs, bundle.manifest.outputs)
    if runtime == "tflm":
        from flota.runtimes.tflm import TflmRuntime

        return TflmRuntime(bundle.payload(), bundle.manifest.inputs, bundle.manifest.outputs)
    raise UsageError(
        f"{bundle.manifest.filename} runs on {runtime}, not on this machine",
        hint="bench it on a board: flota bench NAME --board qemu-mps2-an386",
    )
