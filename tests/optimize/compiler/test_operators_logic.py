"""Comparisons, logic and choices: the interpreter's bytes, over broadcasts, scales and all pairs of values."""

from __future__ import annotations

import numpy as np
import pytest
from bare_models import run_emulated
from host_models import Kernels, build_kernels, random_samples, reference
from operator_models import One, check, float32
from tflite_builder import Builder, options

from optimize.compiler import compile_tflite
from optimize.errors import InvalidModel, UnsupportedOperator

RNG = np.random.default_rng(8)
COMPARISONS = ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")
PAIRS = (
    ((1, 3, 4, 5), (1, 3, 4, 5)),
    ((1, 3, 4, 5), (5,)),
    ((2, 3, 4, 5), (1, 3, 1, 5)),
    ((2, 1, 4), (2, 3, 1)),
    ((3, 4), ()),
)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    return build_kernels(tmp_path_factory.mktemp("kernels"))


def comparison(name: str, left: tuple[int, ...], right: tuple[int, ...], scale: float, *, constant: bool) -> bytes:
    one = One(left, scale=float32(0.1))
    data = RNG.integers(-128, 128, right).astype(np.int8) if constant else None
    other = one.tensor(right, scale=float32(scale), zero_point=-40, data=data)
    y = one.b.tensor(np.broadcast_shapes(left, right), "bool")
    one.b.op(name, [one.x, other], y)
    return one.b.build([one.x] if constant else [one.x, other], [y])


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons(kernels: Kernels, name: str) -> None:
    models = [comparison(name, *pair, 0.1, constant=False) for pair in PAIRS]
    models += [comparison(name, *pair, 0.07, constant=True) for pair in PAIRS]
    models += [comparison(name, (2, 300), (2, 300), scale, constant=False) for scale in (0.9, 0.003, 0.00001)]
    check(kernels, models)


def test_a_comparison_with_one_constant_is_a_table() -> None:
    compiled = compile_tflite(comparison("GREATER", (3, 4), (), 0.1, constant=True), name="m")
    assert compiled.kernel_sources == ("src/nn/lookup.c",)


def test_scales_the_interpreter_gives_up_at_are_refused() -> None:
    with pytest.raises(InvalidModel, match=r"\(LESS\): its scales give a factor of 1.5, it must be under 1"):
        compile_tflite(comparison("LESS", (3, 4), (3, 4), 1.5, constant=False), name="m")


def logic(name: str, left: tuple[int, ...], right: tuple[int, ...] | None) -> bytes:
    b = Builder()
    inputs = [b.tensor(shape, "bool") for shape in (left, right) if shape is not None]
    out = left if right is None else np.broadcast_shapes(left, right)
    return b.build(inputs, [b.op(name, inputs, b.tensor(out, "bool"))])


def test_logic(kernels: Kernels) -> None:
    models = [logic(name, *pair) for pair in PAIRS for name in ("LOGICAL_AND", "LOGICAL_OR", "EQUAL", "NOT_EQUAL")]
    check(kernels, [*models, logic("LOGICAL_NOT", (2, 3, 4), None)])


def test_whether_all_are_true(kernels: Kernels) -> None:
    models = []
    for shape, axes, keep in (((2, 3), (1,), False), ((2, 2, 2), (0, 2), True), ((1, 4), (0, 1), False)):
        b = Builder()
        x = b.tensor(shape, "bool")
        out = [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]
        table = options("ReducerOptions", keepDims=keep)
        models.append(b.build([x], [b.op("REDUCE_ALL", [x, b.constant(axes)], b.tensor(out, "bool"), table)]))
    check(kernels, models)


def choice(condition: tuple[int, ...], yes: tuple[int, ...], no: tuple[int, ...], dtype: str = "int8") -> bytes:
    b = Builder()
    quant = {} if dtype == "float32" else {"scale": 0.5, "zero_point": 3}
    inputs = [b.tensor(condition, "bool"), b.tensor(yes, dtype, **quant), b.tensor(no, dtype, **quant)]
    y = b.tensor(np.broadcast_shapes(condition, yes, no), dtype, **quant)
    return b.build(inputs, [b.op("SELECT_V2", inputs, y)])


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32"])
def test_choices(kernels: Kernels, dtype: str) -> None:
    shapes = (
        ((2, 3, 4), (2, 3, 4), (2, 3, 4)),
        ((3, 1), (2, 3, 4), (4,)),
        ((2, 1, 4), (1, 3, 1), (2, 3, 4)),
        ((5,), (1,), (5,)),
        ((1, 1), (1,), ()),
    )
    check(kernels, [choice(*three, dtype) for three in shapes])


def clipped() -> bytes:
    """tf.where(x > y, x, tf.where(not (x > y) and y < 1, y, x)), as an activation made of comparisons."""
    one = One((2, 7), scale=float32(0.1))
    other = one.tensor((2, 7))
    bound = one.tensor((), data=np.array(13, np.int8))
    flag = [one.b.tensor((2, 7), "bool") for _ in range(4)]
    one.b.op("GREATER", [one.x, other], flag[0])
    one.b.op("LOGICAL_NOT", [flag[0]], flag[1])
    one.b.op("LESS", [other, bound], flag[2])
    one.b.op("LOGICAL_AND", [flag[1], flag[2]], flag[3])
    inner = one.b.op("SELECT_V2", [flag[3], other, one.x], one.tensor((2, 7)))
    return one.b.build([one.x, other], [one.b.op("SELECT_V2", [flag[0], one.x, inner], one.tensor((2, 7)))])


def test_comparisons_feed_choices(kernels: Kernels) -> None:
    check(kernels, [clipped()])


@pytest.mark.parametrize(
    ("source", "target"),
    [
        *((source, target) for source in ("bool", "int8", "int16", "int32") for target in ("int8", "int16", "int32")),
        *((source, "float32") for source in ("bool", "int8", "int16", "int32")),
    ],
)
def test_casts(kernels: Kernels, source: str, target: str) -> None:
    b = Builder()
    x = b.tensor((3, 50), source)
    check(kernels, [b.build([x], [b.op("CAST", [x], b.tensor((3, 50), target))])])


@pytest.mark.emulated
def test_on_the_emulated_board() -> None:
    models = [comparison(name, (2, 3, 4, 5), (1, 3, 1, 5), 0.1, constant=False) for name in COMPARISONS]
    models += [logic(name, (2, 1, 4), (2, 3, 1)) for name in ("LOGICAL_AND", "LOGICAL_OR")]
    models += [choice((3, 1), (2, 3, 4), (4,), dtype) for dtype in ("int8", "int16")]
    models.append(clipped())
    compiled = [compile_tflite(model, name="m", core="cortex-m4") for model in models]
    samples = [random_samples(item, 4, seed) for seed, item in enumerate(compiled)]
    for model, sample, outputs in zip(models, samples, run_emulated(compiled, samples), strict=True):
        assert outputs == reference(model, sample)


@pytest.mark.parametrize(("source", "target"), [("float32", "int8"), ("int8", "bool"), ("uint8", "int8")])
def test_other_casts_are_refused(source: str, target: str) -> None:
    b = Builder()
    x = b.tensor((1, 4), source)
    with pytest.raises(UnsupportedOperator, match=rf"\(CAST\): it turns {source} into {target}"):
        compile_tflite(b.build([x], [b.op("CAST", [x], b.tensor((1, 4), target))]), name="m")


def test_float_comparisons_are_refused() -> None:
    b = Builder()
    x, y = b.tensor((1, 4), "float32"), b.tensor((1, 4), "float32")
    model = b.build([x, y], [b.op("GREATER", [x, y], b.tensor((1, 4), "bool"))])
    with pytest.raises(UnsupportedOperator, match=r"\(GREATER\): .* is float32, supported is int8"):
        compile_tflite(model, name="m")


def test_shapes_and_types_that_do_not_fit_are_refused() -> None:
    b = Builder()
    inputs = [b.tensor((1, 4), "bool"), b.tensor((1, 4), scale=0.5), b.tensor((1, 3), scale=0.5)]
    model = b.build(inputs, [b.op("SELECT_V2", inputs, b.tensor((1, 4), scale=0.5))])
    with pytest.raises(InvalidModel, match=r"\(SELECT_V2\): shapes .* do not broadcast"):
        compile_tflite(model, name="m")
    b = Builder()
    inputs = [b.tensor((1, 4), "bool"), b.tensor((1, 4), scale=0.5), b.tensor((1, 4), "int16", scale=0.5)]
    model = b.build(inputs, [b.op("SELECT_V2", inputs, b.tensor((1, 4), scale=0.5))])
    with pytest.raises(InvalidModel, match=r"\(SELECT_V2\): what it chooses from differs in type"):
        compile_tflite(model, name="m")
    b = Builder()
    inputs = [b.tensor((1, 4), "bool"), b.tensor((1, 4), scale=0.5)]
    model = b.build(inputs, [b.op("EQUAL", inputs, b.tensor((1, 4), "bool"))])
    with pytest.raises(InvalidModel, match=r"\(EQUAL\): it compares bool with int8"):
        compile_tflite(model, name="m")
