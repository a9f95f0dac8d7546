"""Sums of many tensors and along an axis, quotients, softmax and its logarithm: the interpreter's bytes."""

from __future__ import annotations

import numpy as np
import pytest
from bare_models import run_emulated
from host_models import Array, Kernels, build_kernels, random_samples, reference, run_sanitized
from operator_models import One, check, float32

from optimize.compiler import compile_tflite
from optimize.errors import InvalidModel, UnsupportedOperator

RNG = np.random.default_rng(9)
ALL = np.arange(-128, 128, dtype=np.int8).reshape(1, 256)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    return build_kernels(tmp_path_factory.mktemp("kernels"))


def total(count: int, scale: float = 0.1, zero_point: int = 3, out: tuple[float, int] = (0.2, -5)) -> bytes:
    """ADD_N of ``count`` tensors, one of them a constant and one there twice."""
    one = One((2, 3, 5), scale=float32(scale), zero_point=zero_point)
    others = [one.tensor((2, 3, 5)) for _ in range(count - 2)]
    constant = one.tensor((2, 3, 5), data=RNG.integers(-128, 128, (2, 3, 5)).astype(np.int8))
    inputs = [one.x, *others]
    operands = [constant, *inputs] if count > 2 else [one.x, one.x]
    quant = {"scale": float32(out[0]), "zero_point": out[1]}
    return one.model("ADD_N", [(2, 3, 5)], *operands, table=("AddNOptions", {}), inputs=inputs, **quant)


def test_sums_of_many_tensors(kernels: Kernels) -> None:
    """Past 16 inputs the interpreter's sum may wrap around."""
    models = [total(count) for count in (2, 3, 4, 7, 16, 40)]
    models += [total(3, *quant) for quant in ((0.1, -128, (0.4, -128)), (0.02, 127, (0.03, 127)), (3.0, 0, (0.9, 50)))]
    check(kernels, models)


def test_sums_of_different_scales_are_refused() -> None:
    one = One((1, 4))
    other = one.tensor((1, 4), scale=0.2)
    model = one.model("ADD_N", [(1, 4)], one.x, other, table=("AddNOptions", {}), inputs=[one.x, other])
    with pytest.raises(UnsupportedOperator, match=r"\(ADD_N\): .* different scales"):
        compile_tflite(model, name="m")


def running(shape: tuple[int, ...], axis: int, exclusive: bool, reverse: bool, zero_point: int = 3) -> bytes:
    one = One(shape, scale=float32(0.1), zero_point=zero_point)
    table = ("CumsumOptions", {"exclusive": exclusive, "reverse": reverse})
    quant = {"scale": float32(0.15), "zero_point": -9}
    return one.model("CUMSUM", [shape], one.x, one.ints(axis, shape=()), table=table, **quant)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("exclusive", [False, True])
def test_running_sums(kernels: Kernels, exclusive: bool, reverse: bool) -> None:
    shapes = (((7,), 0), ((2, 9), 1), ((2, 9), 0), ((2, 3, 4, 5), 2), ((2, 3, 4, 5), -4), ((1, 600), 1))
    models = [running(shape, axis, exclusive, reverse, zero) for shape, axis in shapes for zero in (3, -128, 127)]
    check(kernels, models)


def softmax(shape: tuple[int, ...], scale: float, beta: float = 1.0) -> bytes:
    one = One(shape, scale=float32(scale))
    return one.model("SOFTMAX", [shape], table=("SoftmaxOptions", {"beta": beta}), scale=1 / 256, zero_point=-128)


SCALES = (1e-7, 0.003, 0.06, 0.13, 0.5, 2.0, 40.0)


def test_softmax_with_and_without_a_table(kernels: Kernels) -> None:
    """The table serves 256 values and more. On a flat row of 512 and more the interpreter aborts."""
    shapes = ((1, 2), (5, 51), (2, 128), (16, 3, 16), (64, 4), (2, 511), (256, 1))
    models = [softmax(shape, scale) for shape in shapes for scale in SCALES]
    tables = [b"softmax_table_s8" in compile_tflite(model, name="m").files["model.c"] for model in models]
    assert tables == [int(np.prod(shape)) >= 256 for shape in shapes for _ in SCALES]
    check(kernels, [*models, softmax((8, 64), 0.1, beta=2.5)])


def test_softmax_of_near_and_far_values(kernels: Kernels) -> None:
    """Rows of three values at every distance: each entry of the table, with few others beside it."""
    rows = np.stack([np.full(256, 127), np.arange(-128, 128), RNG.integers(-128, 128, 256)], axis=1)
    models = [softmax((256, 3), scale) for scale in SCALES]
    compiled = [compile_tflite(model, name="m") for model in models]
    samples = [[[rows.astype(np.int8)]] for _ in models]
    outputs = run_sanitized(kernels, compiled, samples, "rows of three")
    assert outputs == [reference(model, sample) for model, sample in zip(models, samples, strict=True)]


def log_softmax(shape: tuple[int, ...], scale: float, zero_point: int = 3) -> bytes:
    one = One(shape, scale=float32(scale), zero_point=zero_point)
    return one.model("LOG_SOFTMAX", [shape], table=("LogSoftmaxOptions", {}), scale=1 / 16, zero_point=127)


def test_log_softmax(kernels: Kernels) -> None:
    shapes = ((1, 2), (3, 10), (2, 3, 40), (1, 1000), (4, 1), (1, 4095))
    check(kernels, [log_softmax(shape, scale) for shape in shapes for scale in (0.1, 0.5, 0.003, 2.0, 1e-5)])


def test_log_softmax_of_near_and_far_values(kernels: Kernels) -> None:
    """Rows of two, three and many values at every distance: each sum and each difference in turn."""
    models, samples = [], []
    for scale in (0.01, 0.0625, 0.13, 0.9):
        models.append(log_softmax((256, 3), scale))
        rows = np.stack([np.full(256, 127), np.arange(-128, 128), RNG.integers(-128, 128, 256)], axis=1)
        samples.append([[rows.astype(np.int8)]])
    compiled = [compile_tflite(model, name="m") for model in models]
    outputs = run_sanitized(kernels, compiled, samples, "distances")
    assert outputs == [reference(model, sample) for model, sample in zip(models, samples, strict=True)]


def test_log_softmax_of_another_output_or_of_too_many_classes_is_refused() -> None:
    one = One((1, 4))
    with pytest.raises(UnsupportedOperator, match=r"output scale 0.125, zero point 127; it must be 0.0625, 127"):
        compile_tflite(one.model("LOG_SOFTMAX", [(1, 4)], scale=0.125, zero_point=127), name="m")
    with pytest.raises(UnsupportedOperator, match="4096 classes, at most 4095"):
        compile_tflite(log_softmax((1, 4096), 0.1), name="m")


def ratio(
    left: tuple[int, ...], right: tuple[int, ...], scales: tuple[float, float, float], zero_points: tuple[int, int, int]
) -> bytes:
    one = One(left, scale=float32(scales[0]), zero_point=zero_points[0])
    other = one.tensor(right, scale=float32(scales[1]), zero_point=zero_points[1])
    quant = {"scale": float32(scales[2]), "zero_point": zero_points[2]}
    out = np.broadcast_shapes(left, right)
    table = ("DivOptions", {"fusedActivationFunction": 0})
    return one.model("DIV", [out], one.x, other, table=table, inputs=[one.x, other], **quant)


def divisors(shape: tuple[int, ...], zero_point: int) -> Array:
    """Every int8 but the one that stands for 0, where there is room."""
    allowed = np.array([value for value in range(-128, 128) if value != zero_point], np.int8)
    return RNG.permutation(np.resize(allowed, int(np.prod(shape)))).reshape(shape)


def test_quotients(kernels: Kernels) -> None:
    """All dividends with all divisors, except 0, for which the interpreter's result is undefined."""
    cases = (
        ((256, 1), (1, 255), (0.1, 0.1, 1 / 64), (3, -128, 0)),
        ((256, 1), (1, 255), (0.1, 0.1, 1 / 256), (-128, -128, -128)),
        ((256, 1), (1, 255), (0.02, 0.5, 0.0003), (0, 0, 7)),
        ((256, 1), (1, 255), (2.0, 0.01, 0.7), (100, 127, -50)),
        ((2, 3, 4, 5), (1, 3, 1, 5), (0.1, 0.1, 1 / 100), (1, 60, 2)),
        ((2, 3, 4, 5), (2, 3, 4, 5), (0.1, 0.1, 1 / 100), (1, -60, 2)),
        ((256, 1), (1, 255), (0.1, 0.1, 1 / 100), (1, -60, 2)),
    )
    models = [ratio(*case) for case in cases]
    samples = []
    for left, right, _, zero_points in cases:
        values = ALL.reshape(256, 1) if left == (256, 1) else RNG.integers(-128, 128, left).astype(np.int8)
        samples.append([[values, divisors(right, zero_points[1])]])
    compiled = [compile_tflite(model, name="m") for model in models]
    outputs = run_sanitized(kernels, compiled, samples, "quotients")
    assert outputs == [reference(model, sample) for model, sample in zip(models, samples, strict=True)]


@pytest.mark.parametrize("activation", [0, 1, 3])
def test_a_quotient_by_a_constant_is_a_table(kernels: Kernels, activation: int) -> None:
    models = []
    for divisor, zero_point, out in ((37, 3, 0.02), (-100, 0, 0.015), (1, -128, 0.01), (4, 3, 0.5)):
        one = One((1, 256), scale=float32(0.1), zero_point=-5)
        data = np.array([divisor], np.int8)
        other = one.tensor((1,), scale=float32(0.07), zero_point=zero_point, data=data)
        table = ("DivOptions", {"fusedActivationFunction": activation})
        models.append(one.model("DIV", [(1, 256)], one.x, other, table=table, scale=float32(out), zero_point=-20))
    compiled = [compile_tflite(model, name="m") for model in models]
    assert all(item.kernel_sources == ("src/nn/lookup.c",) for item in compiled)
    outputs = run_sanitized(kernels, compiled, [[[ALL]]] * len(models), f"constant{activation}")
    assert outputs == [reference(model, [[ALL]]) for model in models]


def test_a_quotient_by_zero_saturates(kernels: Kernels) -> None:
    model = ratio((1, 3), (1, 3), (0.1, 0.1, 1 / 64), (3, 0, 10))
    values = np.array([[50, 3, -50]], np.int8), np.zeros((1, 3), np.int8)
    outputs = run_sanitized(kernels, [compile_tflite(model, name="m")], [[[*values]]], "zero")
    assert np.frombuffer(outputs[0][0][0], np.int8).tolist() == [127, 10, -128]


def test_quotients_the_interpreter_leaves_undefined_are_refused() -> None:
    with pytest.raises(UnsupportedOperator, match=r"\(DIV\): with an output scale of 0.05 .* undefined"):
        compile_tflite(ratio((1, 4), (1, 4), (0.1, 0.1, 0.05), (0, -128, 0)), name="m")


def test_a_damaged_axis_is_refused() -> None:
    with pytest.raises(InvalidModel, match=r"\(CUMSUM\): axis 2 of a tensor of rank 2"):
        compile_tflite(running((2, 3), 2, False, False), name="m")


def floats() -> list[bytes]:
    """What a converter leaves in float32 between DEQUANTIZE and QUANTIZE: it has no quantized form of these."""
    models = []
    for shape, right in (((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (4,)), ((2, 1, 4), (3, 1))):
        for activation in (0, 1, 3):
            one = One(shape, dtype="float32")
            inputs = [one.x, one.tensor(right)]
            table = ("DivOptions", {"fusedActivationFunction": activation})
            out = np.broadcast_shapes(shape, right)
            models.append(one.model("DIV", [out], *inputs, table=table, inputs=inputs))
    for axis, exclusive, reverse in ((0, False, False), (1, True, False), (2, False, True), (1, True, True)):
        one = One((2, 3, 40), dtype="float32")
        table = ("CumsumOptions", {"exclusive": exclusive, "reverse": reverse})
        models.append(one.model("CUMSUM", [(2, 3, 40)], one.x, one.ints(axis, shape=()), table=table))
    one = One((2, 9), dtype="float32")
    inputs = [one.x, one.tensor((2, 9)), one.tensor((2, 9))]
    models.append(one.model("ADD_N", [(2, 9)], *inputs, inputs[1], table=("AddNOptions", {}), inputs=inputs))
    return models


def test_float_islands(kernels: Kernels) -> None:
    check(kernels, [*floats(), island()])


def island() -> bytes:
    """x / (x + its running sum + 1) of an int8, nearly all of it in float32."""
    one = One((2, 20), scale=float32(0.05), zero_point=-128)
    b = one.b
    real = b.op("DEQUANTIZE", [one.x], b.tensor((2, 20), "float32"))
    sums = b.op("CUMSUM", [real, one.ints(1, shape=())], b.tensor((2, 20), "float32"))
    ones = b.tensor((2, 20), "float32", data=np.ones((2, 20), np.float32))
    below = b.op("ADD_N", [sums, real, ones], b.tensor((2, 20), "float32"))
    ratio = b.op("DIV", [real, below], b.tensor((2, 20), "float32"))
    y = b.tensor((2, 20), scale=float32(1 / 300), zero_point=-128)
    return b.build([one.x], [b.op("QUANTIZE", [ratio], y)])


def test_types_that_differ_are_refused() -> None:
    one = One((1, 4))
    other = one.b.tensor((1, 4), "float32")
    for name in ("DIV", "ADD_N"):
        model = one.model(name, [(1, 4)], one.x, other, inputs=[one.x, other])
        with pytest.raises(InvalidModel, match=rf"\({name}\): its inputs and output differ in type"):
            compile_tflite(model, name="m")
        one = One((1, 4))
        other = one.b.tensor((1, 4), "float32")


@pytest.mark.parametrize("name", ["MAXIMUM", "DIV", "GREATER"])
def test_sizes_computed_by_other_operators_never_crash_the_reader(name: str) -> None:
    """Shape arithmetic on constants: what is known is folded, the rest refused or left."""
    one = One((1, 6))
    dtype = "bool" if name == "GREATER" else "int32"
    size = one.b.op(name, [one.ints(6, 1), one.ints(2, 1)], one.b.tensor((2,), dtype))
    model = one.model("BROADCAST_TO", [(6, 1)], one.x, size) if name == "DIV" else None
    if name == "MAXIMUM":
        one.x = one.tensor((1, 1))
        model = one.model("BROADCAST_TO", [(6, 1)], one.x, size)
        assert compile_tflite(model, name="m").operators == ("BROADCAST_TO",)
        return
    model = model or one.b.build([one.x], [one.b.op("RELU", [one.x], one.tensor((1, 6))), size])
    with pytest.raises((InvalidModel, UnsupportedOperator)):
        compile_tflite(model, name="m")


@pytest.mark.emulated
def test_on_the_emulated_board() -> None:
    models = [
        *floats()[::4],
        island(),
        total(5),
        running((2, 3, 4, 5), 2, True, True),
        running((2, 9), 1, False, False),
    ]
    models += [log_softmax((3, 10), 0.1), log_softmax((1, 300), 0.02)]
    models.append(ratio((2, 3, 4, 5), (1, 3, 1, 5), (0.1, 0.1, 1 / 100), (1, 60, 2)))
    compiled = [compile_tflite(model, name="m", core="cortex-m4") for model in models]
    samples = [random_samples(item, 4, seed) for seed, item in enumerate(compiled)]
    for row in samples[-1]:
        row[1] = divisors(row[1].shape, 60)
    for model, sample, outputs in zip(models, samples, run_emulated(compiled, samples), strict=True):
        assert outputs == reference(model, sample)
