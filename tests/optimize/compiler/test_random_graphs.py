"""Random graphs under the sanitizers give the interpreter's bytes, with not one read or write outside a buffer."""

from __future__ import annotations

import pytest
from host_models import Kernels, build_kernels, compile_tflite, random_samples, reference, run_sanitized
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_graphs import graphs

GRAPHS_PER_BATCH = 16
SAMPLES = 6


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    return build_kernels(tmp_path_factory.mktemp("kernels"))


def check(kernels: Kernels, models: list[bytes]) -> None:
    compiled = [compile_tflite(model, name="random") for model in models]
    samples = [random_samples(item, SAMPLES, seed) for seed, item in enumerate(compiled)]
    outputs = run_sanitized(kernels, compiled, samples, f"batch{len(list(kernels.folder.iterdir()))}")
    for model, item, sample, actual in zip(models, compiled, samples, outputs, strict=True):
        assert actual == reference(model, sample), item.operators


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(models=st.lists(graphs(), min_size=GRAPHS_PER_BATCH, max_size=GRAPHS_PER_BATCH))
def test_random_graphs_give_the_interpreters_bytes(kernels: Kernels, models: list[bytes]) -> None:
    check(kernels, models)
