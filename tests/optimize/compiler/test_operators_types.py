"""Whole numbers of 16 and 32 bits at the ends of a model, and between: the interpreter's bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bare_models import run_emulated
from host_models import Kernels, build_kernels, random_samples, reference, run_sanitized
from operator_models import One, check, float32
from tflite_builder import Builder, options

from optimize.compiler import compile_tflite
from optimize.errors import InvalidModel, UnsupportedOperator

PAIRS = (
    ("int8", "int16"),
    ("int8", "int32"),
    ("int16", "int8"),
    ("int16", "int16"),
    ("int16", "int32"),
    ("int32", "int8"),
    ("int32", "int16"),
)
STEPS = {"int8": 1 / 2**5, "int16": 1 / 2**13, "int32": 1 / 2**22}
"""Scales at which a type reaches a few units, so that no result saturates always."""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    return build_kernels(tmp_path_factory.mktemp("kernels"))


def between(source: str, target: str, stretch: float = 1.0, zero_points: tuple[int, int] = (0, 0)) -> bytes:
    """One QUANTIZE from a graph input to a graph output."""
    b = Builder()
    x = b.tensor((2, 300), source, scale=float32(STEPS[source] * stretch), zero_point=zero_points[0])
    y = b.tensor((2, 300), target, scale=float32(STEPS[target]), zero_point=zero_points[1])
    return b.build([x], [b.op("QUANTIZE", [x], y)])


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_quantize_between_whole_numbers(kernels: Kernels, source: str, target: str) -> None:
    stretches = (1.0, 0.37, 2.9, 1 / 64)
    models = [between(source, target, stretch, zeros) for stretch in stretches for zeros in ((0, 0), (-7, 100))]
    check(kernels, models)


def test_an_equal_scale_changes_nothing(kernels: Kernels) -> None:
    b = Builder()
    x = b.tensor((1, 40), "int16", scale=0.01)
    model = b.build([x], [b.op("QUANTIZE", [x], b.tensor((1, 40), "int32", scale=0.01))])
    [[output]] = run_sanitized(kernels, [compile_tflite(model, name="m")], [[[VALUES]]], "equal")[0]
    assert np.frombuffer(output, np.int32).tolist() == VALUES.ravel().tolist()


VALUES = np.linspace(-32768, 32767, 40).astype(np.int16).reshape(1, 40)


def test_float_to_int16_and_back(kernels: Kernels) -> None:
    models = []
    for scale, zero_point in ((0.0005, 0), (0.01, 300), (float32(3.3e-5), -32768), (0.2, 32767)):
        b = Builder()
        x = b.tensor((1, 200), "float32")
        wide = b.op("QUANTIZE", [x], b.tensor((1, 200), "int16", scale=scale, zero_point=zero_point))
        y = b.op("DEQUANTIZE", [wide], b.tensor((1, 200), "float32"))
        models.append(b.build([x], [wide, y]))
    check(kernels, models)


def test_float_to_int16_saturates_and_nan_is_the_zero_point(kernels: Kernels) -> None:
    b = Builder()
    x = b.tensor((1, 8), "float32")
    model = b.build([x], [b.op("QUANTIZE", [x], b.tensor((1, 8), "int16", scale=0.5, zero_point=-7))])
    values = np.array([[0.0, 0.25, -0.25, 0.2499, 1e30, -1e30, np.inf, np.nan]], np.float32)
    [[output]] = run_sanitized(kernels, [compile_tflite(model, name="m")], [[[values]]], "saturating")[0]
    assert np.frombuffer(output, np.int16).tolist() == [-7, -6, -8, -7, 32767, -32768, 32767, -7]


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_other_types_to_float(kernels: Kernels, dtype: str) -> None:
    b = Builder()
    x = b.tensor((1, 300), dtype, scale=float32(0.013), zero_point=90)
    check(kernels, [b.build([x], [b.op("DEQUANTIZE", [x], b.tensor((1, 300), "float32"))])])


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_moves_of_other_types(kernels: Kernels, dtype: str) -> None:
    """As around the QUANTIZE of a model whose inputs are no int8."""
    quant = {"scale": 0.5} if dtype == "int16" else {}
    models = []
    for shape, order in (((2, 3, 4), (2, 0, 1)), ((1, 5, 2, 3), (0, 2, 1, 3)), ((4, 6), (1, 0))):
        b = Builder()
        x = b.tensor(shape, dtype, **quant)
        y = b.tensor([shape[axis] for axis in order], dtype, **quant)
        models.append(b.build([x], [b.op("TRANSPOSE", [x, b.constant(order)], y)]))
    for axis in (0, 1, 2):
        b = Builder()
        inputs = [b.tensor([2 + n if place == axis else 2 for place in range(3)], dtype, **quant) for n in range(3)]
        y = b.tensor([9 if place == axis else 2 for place in range(3)], dtype, **quant)
        models.append(b.build(inputs, [b.op("CONCATENATION", inputs, y, options("ConcatenationOptions", axis=axis))]))
    for amounts in ((1, 2, 0, 3), (0, 0, 2, 0), (1, 0, 0, 0)):
        b = Builder()
        x = b.tensor((2, 3), dtype, **quant)
        y = b.tensor((2 + sum(amounts[:2]), 3 + sum(amounts[2:])), dtype, **quant)
        models.append(b.build([x], [b.op("PAD", [x, b.constant(amounts, (2, 2))], y)]))
    check(kernels, models)


def packed(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """int4, two to a byte, the lower one first."""
    pairs = np.append(values.ravel(), np.zeros(values.size % 2, np.int8)).reshape(-1, 2).astype(np.uint8)
    return pairs[:, 0] & 15 | pairs[:, 1] << 4


def test_weights_of_four_bits(kernels: Kernels) -> None:
    rng, models = np.random.default_rng(4), []
    window = {"padding": 0, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    for name, shape, weights, axis, table in (
        ("FULLY_CONNECTED", (1, 9), (5, 9), 0, options("FullyConnectedOptions")),
        ("CONV_2D", (1, 5, 5, 3), (5, 3, 3, 3), 0, options("Conv2DOptions", **window)),
        (
            "DEPTHWISE_CONV_2D",
            (1, 5, 5, 3),
            (1, 3, 3, 3),
            3,
            options("DepthwiseConv2DOptions", depthMultiplier=1, **window),
        ),
    ):
        one, count = One(shape), weights[axis]
        scales = 1 if name == "FULLY_CONNECTED" else count
        data = packed(rng.integers(-8, 8, weights).astype(np.int8))
        w = one.b.tensor(weights, "int4", scale=[float32(0.05)] * scales, axis=axis, data=data)
        bias = rng.integers(-99, 99, count).astype(np.int32)
        c = one.b.tensor((count,), "int32", scale=[float32(0.005)] * scales, data=bias)
        y = one.tensor((*shape[:-1], count), scale=float32(0.2))
        models.append(one.b.build([one.x], [one.b.op(name, [one.x, w, c], y, table)]))
    check(kernels, models)


def wide_softmax(shape: tuple[int, ...], scale: float, beta: float) -> bytes:
    one = One(shape, scale=float32(scale))
    y = one.b.tensor(shape, "int16", scale=1 / 65536, zero_point=-32768)
    one.b.op("SOFTMAX", [one.x], y, options("SoftmaxOptions", beta=beta))
    return one.b.build([one.x], [y])


def test_softmax_with_an_int16_result(kernels: Kernels) -> None:
    cases = (((1, 2), 0.1), ((3, 5), 0.5), ((2, 40), 0.02), ((1, 1000), 0.004), ((4, 1), 1.0), ((1, 700), 2.0))
    check(kernels, [wide_softmax(shape, scale, beta) for shape, scale in cases for beta in (1.0, 0.3)])


def keyword_model() -> bytes:
    """The ends of TFLM's keyword models: int16 in, softmax in 16 bits, int32 out."""
    b = Builder()
    x = b.tensor((1, 6), "int16", scale=float32(0.000625))
    now = b.op("RESHAPE", [x, b.constant([2, 3])], b.tensor((2, 3), "int16", scale=float32(0.000625)))
    now = b.op("QUANTIZE", [now], b.tensor((2, 3), scale=float32(0.2), zero_point=-3))
    wide = b.tensor((2, 3), "int16", scale=1 / 65536, zero_point=-32768)
    now = b.op("SOFTMAX", [now], wide, options("SoftmaxOptions", beta=1.0))
    return b.build([x], [b.op("QUANTIZE", [now], b.tensor((2, 3), "int32", scale=float32(1 / 32767)))])


def test_the_specification_tells_the_types_and_scales() -> None:
    compiled = compile_tflite(keyword_model(), name="m")
    [source], [target] = compiled.inputs, compiled.outputs
    assert (source.dtype, source.scale, source.bytes) == ("int16", float32(0.000625), 12)
    assert (target.dtype, target.scale, target.bytes) == ("int32", float32(1 / 32767), 24)
    assert "t0: int16 1x6, real = 0.0006249" in compiled.files["model.h"].decode()


@pytest.mark.emulated
def test_on_the_emulated_board() -> None:
    models = [between(*pair, 0.37, (-7, 100)) for pair in PAIRS]
    models += [wide_softmax((2, 40), 0.02, 1.0), keyword_model()]
    compiled = [compile_tflite(model, name="m", core="cortex-m4") for model in models]
    samples = [random_samples(item, 4, seed) for seed, item in enumerate(compiled)]
    for model, sample, outputs in zip(models, samples, run_emulated(compiled, samples), strict=True):
        assert outputs == reference(model, sample)


@pytest.mark.parametrize(("source", "target"), [("int32", "int32"), ("uint8", "int16"), ("int16", "uint8")])
def test_what_the_interpreter_has_no_code_for_is_refused(source: str, target: str) -> None:
    b = Builder()
    x = b.tensor((1, 4), source, scale=0.5)
    model = b.build([x], [b.op("QUANTIZE", [x], b.tensor((1, 4), target, scale=0.25))])
    with pytest.raises(UnsupportedOperator, match=rf"\(QUANTIZE\): it turns {source} into {target}") as caught:
        compile_tflite(model, name="m")
    assert "int16" in caught.value.hint


@pytest.mark.parametrize(("dtype", "zero_point"), [("int16", 40_000), ("uint8", -1), ("int32", 2**40)])
def test_a_zero_point_outside_its_type_is_refused(dtype: str, zero_point: int) -> None:
    b = Builder()
    x = b.tensor((1, 4), dtype, scale=0.5, zero_point=zero_point)
    model = b.build([x], [b.op("QUANTIZE", [x], b.tensor((1, 4), scale=0.25))])
    with pytest.raises(InvalidModel, match=f"a zero point is not an {dtype}"):
        compile_tflite(model, name="m")
