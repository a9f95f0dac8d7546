"""LiteRT on Linux: ``ai-edge-litert``, or ``tflite-runtime`` where a device has only that."""

from __future__ import annotations

from typing import Any

import numpy as np

from flota.bundle import TensorSignature
from flota.errors import MissingExtra
from flota.runtimes.base import RuntimeFailure


class LiteRtRuntime:
    """A ``.tflite`` model in the LiteRT interpreter, one thread."""

    def __init__(self, model: bytes, inputs: tuple[TensorSignature, ...], outputs: tuple[TensorSignature, ...]) -> None:
        self._inputs = inputs
        self._outputs = outputs
        self._model = model
        self._interpreter: Any = self._load()
        self._input_index = [detail["index"] for detail in self._interpreter.get_input_details()]
        self._output_index = [detail["index"] for detail in self._interpreter.get_output_details()]

    def _load(self) -> Any:
        try:
            interpreter = _interpreter_class()(model_content=self._model, num_threads=1)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise RuntimeFailure(f"LiteRT cannot load the model: {_first_line(error)}") from error
        return interpreter

    def infer(self, inputs: bytes) -> bytes:
        """See :class:`flota.runtimes.base.Runtime`."""
        if self._interpreter is None:
            raise RuntimeFailure("the runtime is closed")
        try:
            for index, tensor in zip(self._input_index, split_case(inputs, self._inputs), strict=True):
                self._interpreter.set_tensor(index, tensor)
            self._interpreter.invoke()
            return b"".join(self._interpreter.get_tensor(index).tobytes() for index in self._output_index)
        except (ValueError, RuntimeError) as error:
            raise RuntimeFailure(f"LiteRT inference failed: {_first_line(error)}") from error

    def reset(self) -> None:
        """See :class:`flota.runtimes.base.Runtime`.

        The interpreter resets variable tensors by itself; resource variables go only with the whole interpreter.
        """
        if self._interpreter is None:
            raise RuntimeFailure("the runtime is closed")
        if any(op["op_name"] == "VAR_HANDLE" for op in self._interpreter._get_ops_details()):
            self._interpreter = self._load()
        else:
            self._interpreter.reset_all_variables()

    def close(self) -> None:
        """See :class:`flota.runtimes.base.Runtime`."""
        self._interpreter = None


def split_case(data: bytes, signature: tuple[TensorSignature, ...]) -> list[np.ndarray[Any, Any]]:
    """The tensors of one case, shaped and typed as the signature says.

    Raises:
        RuntimeFailure: ``data`` is not exactly one case.
    """
    expected = sum(tensor.size_bytes for tensor in signature)
    if len(data) != expected:
        raise RuntimeFailure(f"input has {len(data)} bytes, {expected} expected")
    tensors, offset = [], 0
    for tensor in signature:
        piece = data[offset : offset + tensor.size_bytes]
        tensors.append(np.frombuffer(piece, dtype=tensor.dtype).reshape(tensor.shape))
        offset += tensor.size_bytes
    return tensors


def _interpreter_class() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        try:
            from tflite_runtime.interpreter import Interpreter
        except ImportError as error:
            raise MissingExtra("no LiteRT runtime is installed", hint="pip install 'flota[agent]'") from error
    return Interpreter


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
