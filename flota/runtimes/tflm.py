"""The real TensorFlow Lite Micro interpreter on Linux (PyPI ``tflite-micro``): the reference for MCU arithmetic."""

from __future__ import annotations

from typing import Any

from flota.bundle import TensorSignature
from flota.errors import MissingExtra
from flota.runtimes.base import RuntimeFailure
from flota.runtimes.litert import split_case


class TflmRuntime:
    """A ``.tflite`` model in the TFLM interpreter."""

    def __init__(self, model: bytes, inputs: tuple[TensorSignature, ...], outputs: tuple[TensorSignature, ...]) -> None:
        try:
            from tflite_micro.python.tflite_micro import runtime
        except ImportError as error:
            raise MissingExtra("tflite-micro is not installed", hint="pip install 'flota[optimize]'") from error
        self._inputs = inputs
        self._outputs = outputs
        try:
            self._interpreter: Any = runtime.Interpreter.from_bytes(model)
        except (RuntimeError, ValueError) as error:
            raise RuntimeFailure(f"TFLM cannot load the model: {error}") from error

    def infer(self, inputs: bytes) -> bytes:
        """See :class:`flota.runtimes.base.Runtime`."""
        if self._interpreter is None:
            raise RuntimeFailure("the runtime is closed")
        try:
            for index, tensor in enumerate(split_case(inputs, self._inputs)):
                self._interpreter.set_input(tensor, index)
            self._interpreter.invoke()
            return b"".join(self._interpreter.get_output(i).tobytes() for i in range(len(self._outputs)))
        except (RuntimeError, ValueError) as error:
            raise RuntimeFailure(f"TFLM inference failed: {error}") from error

    def close(self) -> None:
        """See :class:`flota.runtimes.base.Runtime`."""
        self._interpreter = None
