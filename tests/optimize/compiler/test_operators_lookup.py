"""Functions of one int8 become tables with exactly the interpreter's entries, over all 256 inputs and many scales."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from host_models import Array, Kernels, build_kernels, reference, run_sanitized
from operator_models import One, float32
from tflite_builder import options

from optimize.compiler import compile_tflite
from optimize.errors import InvalidModel, UnsupportedOperator

ALL = np.arange(-128, 128, dtype=np.int8).reshape(1, 256)
QUANTS = (
    (0.05, 3, 0.05, 3),
    (0.1, -128, 0.03, -128),
    (0.01, 127, 0.2, 127),
    (3.0, 0, 0.7, -5),
    (0.0005, -7, 0.004, 100),
    (0.023529412, -1, 0.015748031, -104),
)


def model(name: str, quant: tuple[float, int, float, int], alpha: float | None = None) -> bytes:
    one = One((1, 256), scale=float32(quant[0]), zero_point=quant[1])
    table = None if alpha is None else ("LeakyReluOptions", {"alpha": alpha})
    return one.model(name, [(1, 256)], scale=float32(quant[2]), zero_point=quant[3], table=table)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    return build_kernels(tmp_path_factory.mktemp("kernels"))


def check_tables(kernels: Kernels, models: list[bytes], values: list[Array] | None = None) -> None:
    """Each model on its row of ``values``, or on all int8 there are, against the interpreter; one build for all."""
    compiled = [compile_tflite(model, name="m") for model in models]
    samples = [[[row]] for row in values or [ALL] * len(models)]
    outputs = run_sanitized(kernels, compiled, samples, f"batch{len(list(kernels.folder.iterdir()))}")
    for model, sample, ours in zip(models, samples, outputs, strict=True):
        theirs = reference(model, sample)
        assert [np.frombuffer(row[0], np.int8).tolist() for row in ours] == [
            np.frombuffer(row[0], np.int8).tolist() for row in theirs
        ]


@pytest.mark.parametrize("alpha", [0.2, 0.0, 1.5, -0.3])
def test_leaky_relu(kernels: Kernels, alpha: float) -> None:
    check_tables(kernels, [model("LEAKY_RELU", quant, alpha) for quant in QUANTS])


@pytest.mark.parametrize("name", ["HARD_SWISH", "ELU", "ABS"])
def test_functions_without_options(kernels: Kernels, name: str) -> None:
    check_tables(kernels, [model(name, quant) for quant in QUANTS])


def test_rsqrt(kernels: Kernels) -> None:
    """Over the inputs it is defined for: the interpreter stops with an error at a negative one."""
    cases = list(itertools.product(((0.1, 0.05), (0.01, 0.04), (2.0, 0.01), (0.003, 0.3)), (-128, -100, 50)))
    models = [model("RSQRT", (scales[0], zero_point, scales[1], -128)) for scales, zero_point in cases]
    check_tables(kernels, models, [np.maximum(ALL, np.int8(zero_point)) for _, zero_point in cases])


@pytest.mark.parametrize(("name", "scales"), [("HARD_SWISH", (1e9, 1e-9)), ("ELU", (1e9, 1e-9)), ("RSQRT", (1e4, 1e4))])
def test_scales_out_of_reach_are_refused(name: str, scales: tuple[float, float]) -> None:
    with pytest.raises(InvalidModel, match=name):
        compile_tflite(model(name, (scales[0], 0, scales[1], 0)), name="m")


@pytest.mark.parametrize("name", ["EXP", "LOG", "SQRT", "SQUARE", "NEG", "SIN", "COS", "RELU_N1_TO_1", "GELU"])
def test_functions_the_interpreter_has_only_in_float_are_refused(name: str) -> None:
    with pytest.raises(UnsupportedOperator, match=rf"operator 0 \({name}\)"):
        compile_tflite(model(name, QUANTS[0]), name="m")


def island(quant: tuple[float, int, float, int], *names: str) -> bytes:
    """DEQUANTIZE, float functions, QUANTIZE."""
    one = One((1, 256), scale=float32(quant[0]), zero_point=quant[1])
    now = one.b.op("DEQUANTIZE", [one.x], one.b.tensor((1, 256), "float32"))
    for name in names:
        table = options("LeakyReluOptions", alpha=0.3) if name == "LEAKY_RELU" else None
        now = one.b.op(name, [now], one.b.tensor((1, 256), "float32"), table)
    out = one.b.tensor((1, 256), scale=float32(quant[2]), zero_point=quant[3])
    return one.b.build([one.x], [one.b.op("QUANTIZE", [now], out)])


@pytest.mark.parametrize(
    "names",
    [
        ("NEG",),
        ("SQUARE", "NEG"),
        ("ABS", "SQRT"),
        ("FLOOR",),
        ("CEIL",),
        ("ROUND",),
        ("LEAKY_RELU",),
        ("SIN", "COS"),
        ("ELU",),
        ("TANH",),
        ("HARD_SWISH",),
        ("RELU",),
        ("RELU6",),
        (),
    ],
)
def test_float_functions_between_int8_become_tables(kernels: Kernels, names: tuple[str, ...]) -> None:
    models = [island(quant, *names) for quant in QUANTS]
    for data in models:
        assert set(compile_tflite(data, name="m").operators) <= {"QUANTIZE"}
    check_tables(kernels, models)


@pytest.mark.parametrize("name", ["EXP", "LOG", "RSQRT"])
def test_float_functions_over_what_they_are_defined_for(kernels: Kernels, name: str) -> None:
    """Where a result is not finite, what the interpreter stores is undefined."""
    quants = ((0.05, 3, 0.1, 3), (0.01, -128, 0.02, -20))
    lows = [quant[1] + 1 if name != "EXP" else -128 for quant in quants]
    values = [np.maximum(ALL, np.int8(low)) for low in lows]
    check_tables(kernels, [island(quant, name) for quant in quants], values)


def with_a_constant(name: str, quant: tuple[float, int, float, int]) -> bytes:
    one = One((1, 256), scale=float32(quant[0]), zero_point=quant[1])
    same = {"scale": float32(quant[0]), "zero_point": quant[1]}
    other = one.tensor((1,), data=np.array([-37], np.int8), **same)
    scale = float32(quant[0]) if name.startswith("M") else float32(quant[2])
    return one.model(name, [(1, 256)], one.x, other, **(same | {"scale": scale}))


@pytest.mark.parametrize("name", ["MAXIMUM", "MINIMUM", "PRELU", "SQUARED_DIFFERENCE"])
def test_an_operator_with_one_constant_becomes_a_table(kernels: Kernels, name: str) -> None:
    models = [with_a_constant(name, quant) for quant in QUANTS]
    for data in models:
        assert b"_table" in compile_tflite(data, name="m").files["model.c"]
    check_tables(kernels, models)
