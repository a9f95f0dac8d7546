"""Random graphs give the interpreter's bytes on every core: under the sanitizers, and on the emulated board."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from differential import SCRATCH, Case, Place, Tally, check_all, places_of, run_place, summary
from host_models import Kernels, build_kernels, compile_tflite, random_samples, reference, run_sanitized
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mutate_tflite import mutate
from random_graphs import graphs, random_graph
from tflite_builder import small_model

from optimize.compiler import CompiledModel
from optimize.errors import OptimizeError

DRAWN_PER_BATCH = 16
SAMPLES = 6
FIRST = 42_000_000
"""Number of the first graph of the seeded tests; ``differential.py`` runs thousands of others."""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    return build_kernels(tmp_path_factory.mktemp("kernels"))


def check(where: str, cores: tuple[str, ...], count: int, first: int) -> None:
    places = places_of([where], cores)
    tally = check_all(range(first, first + count), places, jobs=1)
    assert not tally.problems, (tally.problems[:3], summary(tally, places, 0))
    assert tally.graphs == count
    assert all(tally.bytes[str(place)] > 1000 * count for place in places)
    assert len(tally.operators) > 15


def test_seeded_graphs_on_this_machine() -> None:
    check("host", ("portable", "cortex-m4"), 125, FIRST)


@pytest.mark.emulated
def test_seeded_graphs_on_the_emulated_cortex_m4() -> None:
    check("emulator", ("cortex-m4",), 150, FIRST + 1000)


@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(models=st.lists(graphs(), min_size=DRAWN_PER_BATCH, max_size=DRAWN_PER_BATCH))
def test_drawn_graphs_on_this_machine(kernels: Kernels, models: list[bytes]) -> None:
    """The same graphs from hypothesis, whose draws reach corners that random numbers seldom do."""
    compiled = [compile_tflite(model, name="drawn") for model in models]
    samples = [random_samples(item, SAMPLES, seed) for seed, item in enumerate(compiled)]
    outputs = run_sanitized(kernels, compiled, samples, f"batch{len(list(kernels.folder.iterdir()))}", stream=True)
    for model, item, sample, actual in zip(models, compiled, samples, outputs, strict=True):
        assert actual == reference(model, sample), item.operators


def test_a_number_is_the_same_graph_everywhere() -> None:
    assert random_graph(FIRST) == random_graph(FIRST) != random_graph(FIRST + 1)


def test_a_difference_is_reported_with_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(SCRATCH, str(tmp_path))
    tally, compiled = Tally(), compile_tflite(small_model(), name="m")
    samples = random_samples(compiled, 3, seed=1)
    expected = reference(small_model(), samples)
    expected[2][0] = expected[2][0][:1] + bytes([expected[2][0][1] ^ 1]) + expected[2][0][2:]
    run_place(Place("host", "portable"), [(Case(7, small_model(), samples, expected), compiled)], tally)
    [(number, where, what)] = tally.problems
    assert (number, where) == (7, "host portable")
    assert "sample 2, output 0: 1 of 4 bytes differ, the first at 1" in what


def damaged_models(count: int) -> list[CompiledModel]:
    """What the compiler makes of a damaged file it still accepts: other weights, scales, strides, operators, wiring."""
    rng, accepted = random.Random(9), {}
    while len(accepted) < count:
        model = small_model() if rng.random() < 0.2 else random_graph(rng.randrange(1000))
        try:
            compiled = compile_tflite(mutate(model, rng), name="damaged", core=rng.choice(("portable", "cortex-m4")))
        except OptimizeError:
            continue
        if compiled.arena_bytes < 1 << 20:
            accepted[compiled.files["model.c"]] = compiled
    return list(accepted.values())


def test_a_damaged_model_that_compiles_runs_without_touching_foreign_memory(kernels: Kernels) -> None:
    compiled = damaged_models(60)
    samples = [random_samples(item, 4, seed) for seed, item in enumerate(compiled)]
    outputs = run_sanitized(kernels, compiled, samples, "damaged")
    assert [len(rows) for rows in outputs] == [4] * len(compiled)
