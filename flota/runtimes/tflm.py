"""The real TensorFlow Lite Micro interpreter on Linux (PyPI ``tflite-micro``): the reference for MCU arithmetic."""

from __future__ import annotations

from typing import Any

from flota.bundle import TensorSignature
from flota.errors import MissingExtra
from flota.runtimes.base import RuntimeFailure
from flota.runtimes.litert import split_case

_FILES = 10
"""The interpreter's own guess of an arena, in sizes of the model file: too few for small files with large tensors."""
_LEAST_ARENA_BYTES = 16 * 1024 * 1024
"""Address space; the system gives memory to what is used of it."""


class TflmRuntime:
    """A ``.tflite`` model in the TFLM interpreter."""

    def __init__(self, model: bytes, inputs: tuple[TensorSignature, ...], outputs: tuple[TensorSignature, ...]) -> None:
        try:
            from tflite_micro.python.tflite_micro import runtime
        except ImportError as error:
            raise MissingExtra("tflite-micro is not installed", hint="pip install 'flota[optimize]'") from error
        self._inputs = inputs
        self._outputs = outputs
        self._model = model
        self._runtime: Any = runtime
        self._interpreter: Any = self._load()
        self._has_variables: bool | None = None

    def _load(self) -> Any:
        try:
            arena_bytes = max(_FILES * len(self._model), _LEAST_ARENA_BYTES)
            return self._runtime.Interpreter.from_bytes(self._model, arena_size=arena_bytes)
        except (RuntimeError, ValueError) as error:
            hint = "it lacks an operator or a form of it; the lines above are its own"
            raise RuntimeFailure(f"TFLM cannot load the model: {error}", hint=hint) from error

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

    def reset(self) -> None:
        """See :class:`flota.runtimes.base.Runtime`.

        The interpreter's own reset does not run a model's initialisation again, so one with variables is loaded anew.
        """
        if self._interpreter is None:
            raise RuntimeFailure("the runtime is closed")
        if self._has_variables is None:
            self._has_variables = self._runtime.count_resource_variables(self._model) > 0
        if self._has_variables:
            self._interpreter = self._load()
        else:
            self._interpreter.reset()

    def close(self) -> None:
        """See :class:`flota.runtimes.base.Runtime`."""
        self._interpreter = None
