"""Operators that disappear into their neighbours, and the cases where they must not; all against the interpreter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from host_models import load, random_samples, reference, run
from tflite_builder import Builder, options

from optimize.compiler import build_host_library, compile_tflite

SHAPE = (1, 4, 4, 2)
POOL = {"filterHeight": 3, "filterWidth": 3, "strideH": 1, "strideW": 1}


def operators(model: bytes, folder: Path) -> tuple[str, ...]:
    """What is left to run; the outputs are the interpreter's on random inputs."""
    compiled = compile_tflite(model, name="m")
    samples = random_samples(compiled, 20, seed=5)
    library = load(build_host_library(compiled, folder))
    assert [run(library, sample) for sample in samples] == reference(model, samples)
    return compiled.operators


def image(b: Builder, *, scale: float = 0.5, zero_point: int = 3, shape: tuple[int, ...] = SHAPE) -> int:
    return b.tensor(shape, scale=scale, zero_point=zero_point)


def conv(b: Builder, source: int, target: int, size: int = 1) -> int:
    data = np.arange(-9, 2 * 2 * size * size - 9, dtype=np.int8).reshape(2, size, size, 2)
    weights = b.tensor(data.shape, scale=0.02, data=data)
    table = options("Conv2DOptions", padding=1, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
    return b.op("CONV_2D", [source, weights], target, table)


@pytest.mark.parametrize("name", ["RELU", "RELU6"])
def test_an_activation_moves_into_the_convolution_before_it(name: str, tmp_path: Path) -> None:
    b = Builder()
    x = image(b)
    y = conv(b, x, image(b, scale=0.07, zero_point=-20))
    assert operators(b.build([x], [b.op(name, [y], image(b, scale=0.07, zero_point=-20))]), tmp_path) == ("CONV_2D",)


@pytest.mark.parametrize("name", ["ADD", "MUL"])
def test_an_activation_moves_into_arithmetic_through_a_reshape(name: str, tmp_path: Path) -> None:
    b = Builder()
    x, other = image(b), image(b, scale=0.3)
    y = b.op(name, [x, other], image(b, scale=1.1, zero_point=9), options(f"{name.capitalize()}Options"))
    flat = image(b, scale=1.1, zero_point=9, shape=(1, 32))
    y = b.op("RESHAPE", [y, b.constant([1, 32])], flat, options("ReshapeOptions"))
    z = b.op("RELU", [y], image(b, scale=1.1, zero_point=9, shape=(1, 32)))
    assert operators(b.build([x, other], [z]), tmp_path) == (name,)


def test_an_activation_that_rescales_stays_after_a_convolution(tmp_path: Path) -> None:
    b = Builder()
    x = image(b)
    y = conv(b, x, image(b, scale=0.07))
    model = b.build([x], [b.op("RELU", [y], image(b, scale=0.05))])
    assert operators(model, tmp_path) == ("CONV_2D", "RELU")


def test_a_value_that_someone_else_reads_is_kept_as_it_is(tmp_path: Path) -> None:
    b = Builder()
    x = image(b)
    y = conv(b, x, image(b, scale=0.07))
    z = b.op("RELU", [y], image(b, scale=0.07))
    assert operators(b.build([x], [y, z]), tmp_path) == ("CONV_2D", "RELU")


def test_a_requantization_that_changes_nothing_disappears(tmp_path: Path) -> None:
    b = Builder()
    x = image(b)
    y = b.op("QUANTIZE", [conv(b, x, image(b))], image(b))
    assert operators(b.build([x], [conv(b, y, image(b))]), tmp_path) == ("CONV_2D", "CONV_2D")


def test_only_a_requantization_that_changes_nothing_needs_no_code(tmp_path: Path) -> None:
    b = Builder()
    x = image(b)
    assert operators(b.build([x], [b.op("QUANTIZE", [x], image(b))]), tmp_path) == ()


def test_tables_in_a_row_are_one(tmp_path: Path) -> None:
    b = Builder()
    x = image(b)
    y = b.op("QUANTIZE", [x], image(b, scale=0.1, zero_point=-5))
    y = b.op("TANH", [y], image(b, scale=1 / 128, zero_point=0))
    z = b.op("LOGISTIC", [y], image(b, scale=1 / 256, zero_point=-128))
    assert operators(b.build([x], [z]), tmp_path) == ("QUANTIZE",)


@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("constant_first", [True, False])
def test_arithmetic_with_a_constant_is_a_table(name: str, constant_first: bool, tmp_path: Path) -> None:
    b = Builder()
    x = image(b)
    constant = b.tensor((1, 1), scale=0.4, zero_point=-7, data=np.array([[50]], np.int8))
    inputs = [constant, x] if constant_first else [x, constant]
    kind = options(f"{name.capitalize()}Options", fusedActivationFunction=1)
    model = b.build([x], [b.op(name, inputs, image(b, scale=2.0, zero_point=11), kind)])
    assert operators(model, tmp_path) == (name,)
    assert compile_tflite(model, name="m").kernel_sources == ("src/nn/lookup.c",)


@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])
def test_arithmetic_with_itself_is_a_table(name: str, tmp_path: Path) -> None:
    b = Builder()
    x = image(b)
    model = b.build([x], [b.op(name, [x, x], image(b, scale=2.0), options(f"{name.capitalize()}Options"))])
    assert operators(model, tmp_path) == (name,)
    assert compile_tflite(model, name="m").kernel_sources == ("src/nn/lookup.c",)


def test_a_constant_per_channel_is_no_table(tmp_path: Path) -> None:
    b = Builder()
    x = image(b)
    constant = b.tensor((2,), scale=0.4, data=np.array([50, -3], np.int8))
    model = b.build([x], [b.op("ADD", [x, constant], image(b, scale=2.0), options("AddOptions"))])
    assert operators(model, tmp_path) == ("ADD",)
    assert compile_tflite(model, name="m").kernel_sources == ("src/nn/elementwise.c",)


def padded(b: Builder, x: int, zero_point: int, amount: int) -> int:
    n = 4 + 2 * amount
    target = image(b, zero_point=zero_point, shape=(1, n, n, 2))
    amounts = b.constant([0, 0, amount, amount, amount, amount, 0, 0], (4, 2))
    return b.op("PAD", [x, amounts], target, options("PadOptions"))


@pytest.mark.parametrize(
    ("name", "zero_point", "amount", "left"),
    [
        ("MAX_POOL_2D", -128, 1, ("MAX_POOL_2D",)),
        ("MAX_POOL_2D", -128, 3, ("PAD", "MAX_POOL_2D")),
        ("MAX_POOL_2D", 0, 1, ("PAD", "MAX_POOL_2D")),
        ("AVERAGE_POOL_2D", -128, 1, ("PAD", "AVERAGE_POOL_2D")),
    ],
)
def test_a_pad_before_a_pool(name: str, zero_point: int, amount: int, left: tuple[str, ...], tmp_path: Path) -> None:
    b = Builder()
    x = image(b, zero_point=zero_point)
    y = padded(b, x, zero_point, amount)
    n = 2 + 2 * amount
    target = image(b, zero_point=zero_point, shape=(1, n, n, 2))
    model = b.build([x], [b.op(name, [y], target, options("Pool2DOptions", padding=1, **POOL))])
    assert operators(model, tmp_path) == left


def test_a_pad_is_fused_into_all_its_readers_or_none(tmp_path: Path) -> None:
    def model(*, with_pool: bool) -> bytes:
        b = Builder()
        x = image(b)
        y = padded(b, x, 3, 1)
        outputs = [conv(b, y, image(b), size=3), conv(b, y, image(b, shape=(1, 6, 6, 2)))]
        if with_pool:
            outputs.append(b.op("MAX_POOL_2D", [y], image(b), options("Pool2DOptions", padding=1, **POOL)))
        return b.build([x], outputs)

    assert operators(model(with_pool=False), tmp_path / "a") == ("CONV_2D", "CONV_2D")
    assert operators(model(with_pool=True), tmp_path / "b")[0] == "PAD"
