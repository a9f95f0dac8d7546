"""The Linux runtimes go on with a stream until they are reset, and then begin anew."""

from __future__ import annotations

import numpy as np
import pytest
from recurrent_models import svdf_model
from variable_models import counter

from flota.bundle import TensorSignature
from flota.runtimes import Runtime, RuntimeFailure
from flota.runtimes.litert import LiteRtRuntime
from flota.runtimes.tflm import TflmRuntime
from optimize.facts import read_facts

MODELS = {
    "variables": counter([1, 2, 3, 4]),
    "variables at their zero points": counter(),
    "variable tensors": svdf_model(1, units=4, rank=1, memory=5),
}
RUNTIMES = {"litert": LiteRtRuntime, "tflm": TflmRuntime}


def case_bytes(tensors: tuple[TensorSignature, ...]) -> int:
    return sum(tensor.size_bytes for tensor in tensors)


@pytest.mark.parametrize(
    ("runtime", "model"),
    [
        ("litert", "variables"),
        ("litert", "variable tensors"),
        ("tflm", "variables"),
        ("tflm", "variables at their zero points"),  # LiteRT wants every variable assigned before it is read
        ("tflm", "variable tensors"),
    ],
)
def test_a_reset_begins_the_stream_anew(runtime: str, model: str) -> None:
    facts = read_facts(MODELS[model])
    loaded: Runtime = RUNTIMES[runtime](MODELS[model], facts.inputs, facts.outputs)
    rng = np.random.default_rng(4)
    steps = [rng.integers(-30, 31, case_bytes(facts.inputs)).astype(np.int8).tobytes() for _ in range(4)]
    stream = [loaded.infer(step) for step in steps]
    assert loaded.infer(steps[0]) != stream[0]
    for _ in range(2):
        loaded.reset()
        assert [loaded.infer(step) for step in steps] == stream
    loaded.close()
    with pytest.raises(RuntimeFailure, match="closed"):
        loaded.reset()
