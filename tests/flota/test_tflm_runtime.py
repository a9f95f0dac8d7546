"""The TensorFlow Lite Micro interpreter as a runtime: models of all proportions."""

from __future__ import annotations

import pytest
from tflite_builder import Builder, options

from flota.bundle import TensorSignature
from flota.runtimes.base import RuntimeFailure
from flota.runtimes.tflm import TflmRuntime


def test_a_small_file_may_have_large_tensors() -> None:
    """A file of a few hundred bytes whose tensors take a thousand times that."""
    builder, shape = Builder(), (1, 300, 300, 3)
    x, y = builder.tensor(shape), builder.tensor(shape)
    builder.op("RELU", [x], y)
    model = builder.build([x], [y])
    tensor = TensorSignature(name="x", shape=shape, dtype="int8", scale=1.0, zero_point=0)
    runtime = TflmRuntime(model, (tensor,), (tensor,))
    assert len(runtime.infer(bytes(300 * 300 * 3))) == 300 * 300 * 3


def test_a_model_it_lacks_an_operator_for_is_refused_with_a_hint() -> None:
    builder = Builder()
    x, y = builder.tensor((1, 4)), builder.tensor((1, 8))
    builder.op("CONCATENATION", [x] * 40, y, options("ConcatenationOptions", axis=1))
    with pytest.raises(RuntimeFailure, match="TFLM cannot load the model") as failure:
        TflmRuntime(builder.build([x], [y]), (), ())
    assert failure.value.hint
