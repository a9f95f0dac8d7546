"""Sums and products on the DSP extension: all 65,536 pairs of values, every shape of broadcast, every clamp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from bare_models import run_emulated
from host_models import build_kernels, random_samples, reference, run_sanitized
from tflite_builder import Builder, options

from optimize.compiler import CompiledModel, compile_tflite
from optimize.compiler.cores import CORTEX_M4

EVERY = (256, 256)
"""Of a shape that holds all pairs."""


@dataclass(frozen=True)
class Binary:
    """``kind`` of two inputs with (scale, zero point) each and for the output."""

    kind: str
    left: tuple[int, ...] = EVERY
    right: tuple[int, ...] = EVERY
    scales: tuple[float, float, float] = (0.05, 0.13, 0.17)
    zero_points: tuple[int, int, int] = (-128, 4, -128)
    activation: int = 0
    portable: bool = False


CASES = {
    "add": Binary("ADD"),
    "add, one scale": Binary("ADD", scales=(0.05, 0.05, 0.08), zero_points=(3, -7, 11)),
    "add, far scales": Binary("ADD", scales=(0.5, 0.0011, 0.6), zero_points=(127, -128, 0)),
    "add, saturating": Binary("ADD", scales=(0.05, 0.13, 0.0217), zero_points=(-128, 127, 0)),
    "add, flat": Binary("ADD", scales=(0.05, 0.13, 3.07), zero_points=(-128, 127, 0)),
    "add, relu": Binary("ADD", zero_points=(5, 4, -20), activation=1),
    "add, relu6": Binary("ADD", zero_points=(5, 4, -128), activation=3),
    "add, relu of nothing negative": Binary("ADD", zero_points=(5, 4, 100), activation=1),
    "add, halves everywhere": Binary("ADD", scales=(0.5, 0.5, 1.0), zero_points=(0, 0, 0), portable=True),
    "sub": Binary("SUB"),
    "sub, relu": Binary("SUB", zero_points=(5, 4, -20), activation=1),
    "sub, from a constant's scale": Binary("SUB", scales=(1 / 256, 0.9, 0.91), zero_points=(-128, 0, 1)),
    "mul": Binary("MUL", scales=(0.05, 0.13, 0.9)),
    "mul, zero points at the ends": Binary("MUL", scales=(0.05, 0.13, 0.6), zero_points=(-128, 127, 127)),
    "mul, saturating, relu6": Binary("MUL", scales=(0.05, 0.13, 0.02), zero_points=(-3, 9, -100), activation=3),
    "mul, factor above one": Binary("MUL", scales=(1.5, 1.5, 0.9), portable=True),
    "add, nothing divides by four": Binary("ADD", (3, 7), (3, 7)),
    "add, channels": Binary("ADD", (5, 6, 9), (9,)),
    "add, rows": Binary("ADD", (1, 5, 6), (4, 1, 6)),
    "add, one value": Binary("ADD", (2, 3, 7), (1, 1, 1)),
    "sub, one per row": Binary("SUB", (5, 1), (5, 8)),
    "mul, channels": Binary("MUL", (1, 1, 6), (5, 4, 6), scales=(0.05, 0.13, 0.9)),
    "mul, one value": Binary("MUL", (1,), (4, 5), scales=(0.05, 0.13, 0.9)),
}


def tflite(case: Binary) -> bytes:
    b = Builder()
    shapes = (case.left, case.right, np.broadcast_shapes(case.left, case.right))
    quants = zip(shapes, case.scales, case.zero_points, strict=True)
    x, y, z = (b.tensor(shape, scale=scale, zero_point=zero_point) for shape, scale, zero_point in quants)
    fields = options(case.kind.capitalize() + "Options", fusedActivationFunction=case.activation)
    b.op(case.kind, [x, y], z, fields)
    return b.build([x, y], [z])


@pytest.fixture(scope="module")
def models() -> list[bytes]:
    return [tflite(case) for case in CASES.values()]


@pytest.fixture(scope="module")
def compiled(models: list[bytes]) -> list[CompiledModel]:
    return [compile_tflite(model, name=name, core=CORTEX_M4.name) for name, model in zip(CASES, models, strict=True)]


def samples_of(compiled: list[CompiledModel]) -> list[Any]:
    values = np.arange(-128, 128).astype(np.int8)
    pairs = [np.repeat(values, 256).reshape(EVERY), np.tile(values, 256).reshape(EVERY)]
    return [
        [pairs] if case.left == EVERY else random_samples(item, 4, 5)
        for case, item in zip(CASES.values(), compiled, strict=True)
    ]


def test_only_what_has_no_exact_form_stays_portable(compiled: list[CompiledModel]) -> None:
    named = zip(CASES, compiled, strict=True)
    plain = {"src/nn/elementwise.c", "src/nn/linear.c"}
    portable = {name for name, item in named if plain.intersection(item.kernel_sources)}
    assert portable == {name for name, case in CASES.items() if case.portable}


def test_under_the_sanitizers(compiled: list[CompiledModel], models: list[bytes], tmp_path_factory: Any) -> None:
    samples = samples_of(compiled)
    outputs = run_sanitized(build_kernels(tmp_path_factory.mktemp("kernels")), compiled, samples, "binary")
    for name, model, sample, actual in zip(CASES, models, samples, outputs, strict=True):
        assert actual == reference(model, sample), name


@pytest.mark.emulated
def test_on_the_emulated_board(compiled: list[CompiledModel], models: list[bytes]) -> None:
    samples = samples_of(compiled)
    outputs = run_emulated(compiled, samples)
    for name, model, rows, actual in zip(CASES, models, samples, outputs, strict=True):
        assert actual == reference(model, rows), name
