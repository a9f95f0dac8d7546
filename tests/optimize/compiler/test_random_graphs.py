"""Random graphs under the sanitizers give the interpreter's bytes, with not one read or write outside a buffer."""

from __future__ import annotations

import random

import pytest
from host_models import Kernels, build_kernels, compile_tflite, random_samples, reference, run_sanitized
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mutate_tflite import mutate
from random_graphs import graphs, random_graph
from tflite_builder import small_model

from optimize.compiler import CompiledModel
from optimize.errors import OptimizeError

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


def damaged_models(count: int) -> list[CompiledModel]:
    """What the compiler makes of a damaged file it still accepts: other weights, scales, strides, operators, wiring."""
    rng, accepted = random.Random(9), {}
    while len(accepted) < count:
        model = small_model() if rng.random() < 0.2 else random_graph(rng.randrange(1000))
        try:
            compiled = compile_tflite(mutate(model, rng), name="damaged")
        except OptimizeError:
            continue
        if compiled.arena_bytes < 1 << 20:
            accepted[compiled.files["model.c"]] = compiled
    return list(accepted.values())


def test_a_damaged_model_that_compiles_runs_without_touching_foreign_memory(kernels: Kernels) -> None:
    compiled = damaged_models(40)
    samples = [random_samples(item, 4, seed) for seed, item in enumerate(compiled)]
    outputs = run_sanitized(kernels, compiled, samples, "damaged")
    assert [len(rows) for rows in outputs] == [4] * len(compiled)
