"""Comparing, reducing, normalizing and enlarging operators give the interpreter's bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as s
from host_models import Kernels, build_kernels
from operator_models import One, check, float32

from optimize.compiler import compile_tflite
from optimize.errors import InvalidModel, UnsupportedOperator

RNG = np.random.default_rng(4)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    return build_kernels(tmp_path_factory.mktemp("kernels"))


def transposed(
    shape: Any,
    kernel: Any,
    stride: Any,
    out: Any,
    padding: int,
    *,
    per_channel: bool = True,
    bias: bool = True,
    **q: Any,
) -> bytes:
    one = One(shape, zero_point=q.pop("zero_point", 3))
    filters, depth = out[-1], shape[-1]
    scales = [float32(v) for v in RNG.uniform(0.002, 0.03, filters if per_channel else 1)]
    data = RNG.integers(-127, 128, (filters, *kernel, depth)).astype(np.int8)
    weights = one.b.tensor((filters, *kernel, depth), scale=scales, data=data)
    operands = [one.ints(*out), weights, one.x]
    if bias:
        values = RNG.integers(-3000, 3000, filters).astype(np.int32)
        operands.append(one.b.tensor((filters,), "int32", scale=[v * 0.1 for v in scales], data=values))
    fields = {"padding": padding, "strideH": stride[0], "strideW": stride[1]}
    fields["fusedActivationFunction"] = q.pop("activation", 0)
    table = ("TransposeConvOptions", fields)
    return one.model("TRANSPOSE_CONV", [out], *operands, table=table, scale=0.15, **q)


def test_transpose_conv(kernels: Kernels) -> None:
    same, valid = s.Padding.SAME, s.Padding.VALID
    check(
        kernels,
        [
            transposed((1, 3, 4, 3), (3, 3), (2, 2), (1, 6, 8, 5), same),
            transposed((2, 3, 4, 2), (3, 2), (2, 3), (2, 7, 11, 4), valid, per_channel=False),
            transposed((1, 5, 5, 4), (1, 1), (1, 1), (1, 5, 5, 3), same, bias=False),
            transposed((1, 2, 3, 5), (2, 2), (3, 3), (1, 6, 9, 2), same, activation=1, zero_point=-128),
            transposed((1, 4, 4, 1), (5, 4), (2, 1), (1, 8, 4, 1), same, activation=3, zero_point=127),
            transposed((1, 2, 2, 2), (4, 4), (1, 1), (1, 5, 5, 3), valid),
            transposed((1, 3, 3, 2), (2, 2), (2, 2), (1, 7, 7, 2), valid),
        ],
    )


@pytest.mark.parametrize("flags", [(False, False), (True, False), (False, True)])
def test_resize_bilinear(kernels: Kernels, flags: tuple[bool, bool]) -> None:
    table = ("ResizeBilinearOptions", {"alignCorners": flags[0], "halfPixelCenters": flags[1]})
    models = []
    for shape, size in (
        ((1, 3, 4, 2), (6, 8)),
        ((2, 5, 4, 3), (7, 3)),
        ((1, 1, 9, 1), (4, 1)),
        ((1, 8, 8, 4), (3, 20)),
    ):
        one = One(shape)
        out = (shape[0], *size, shape[3])
        models.append(one.model("RESIZE_BILINEAR", [out], one.x, one.ints(*size), table=table))
    check(kernels, models)


PAIRS = (
    ((1, 3, 4, 5), (1, 3, 4, 5)),
    ((1, 3, 4, 5), (5,)),
    ((2, 3, 4, 5), (1, 3, 1, 5)),
    ((2, 1, 4), (2, 3, 1)),
    ((3, 4), ()),
)


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("name", ["MAXIMUM", "MINIMUM"])
def test_extremes(kernels: Kernels, name: str, constant: bool) -> None:
    models = []
    for left, right in PAIRS:
        one = One(left)
        data = RNG.integers(-128, 128, right).astype(np.int8) if constant else None
        other = one.tensor(right, data=data)
        out = np.broadcast_shapes(left, right)
        inputs = [one.x] if constant else [one.x, other]
        models.append(one.model(name, [out], one.x, other, table=("MaximumMinimumOptions", {}), inputs=inputs))
    check(kernels, models)


def test_prelu(kernels: Kernels) -> None:
    models = []
    for shape, alpha in (((1, 4, 5, 6), (1, 1, 6)), ((2, 7), (7,)), ((1, 3, 3, 2), (3, 3, 2)), ((1, 6), (1,))):
        for zero_point, out_scale in ((3, 0.05), (-128, 0.3), (127, 0.1)):
            one = One(shape, zero_point=zero_point)
            data = RNG.integers(-128, 128, alpha).astype(np.int8)
            slope = one.tensor(alpha, scale=0.004, zero_point=-9, data=data)
            models.append(one.model("PRELU", [shape], one.x, slope, scale=out_scale, zero_point=-20))
    check(kernels, models)


def test_squared_difference(kernels: Kernels) -> None:
    models = []
    for left, right in PAIRS:
        for scale, out_scale in ((0.1, 0.4), (0.01, 0.9), (0.7, 0.02)):
            one = One(left)
            other = one.tensor(right, scale=scale, zero_point=-40)
            out = np.broadcast_shapes(left, right)
            quant = {"scale": out_scale, "zero_point": -128}
            table = ("SquaredDifferenceOptions", {})
            inputs = [one.x, other]
            models.append(one.model("SQUARED_DIFFERENCE", [out], *inputs, table=table, inputs=inputs, **quant))
    check(kernels, models)


@pytest.mark.parametrize("name", ["SUM", "REDUCE_MAX", "REDUCE_MIN"])
def test_reductions(kernels: Kernels, name: str) -> None:
    models = []
    for shape, axes, keep in (
        ((2, 5, 6, 3), (1, 2), True),
        ((2, 5, 6, 3), (-1,), False),
        ((2, 5, 6, 3), (0, 2), False),
        ((4, 7), (0, 1), False),
        ((4, 7), (1,), True),
    ):
        one = One(shape)
        chosen = {axis % len(shape) for axis in axes}
        out = [1 if i in chosen else n for i, n in enumerate(shape) if keep or i not in chosen]
        quant = {"scale": 0.9, "zero_point": -11} if name == "SUM" else {}
        table = ("ReducerOptions", {"keepDims": keep})
        models.append(one.model(name, [out], one.x, one.ints(*axes), table=table, **quant))
    check(kernels, models)


@pytest.mark.parametrize("name", ["ARG_MAX", "ARG_MIN"])
def test_positions_of_extremes(kernels: Kernels, name: str) -> None:
    models = []
    for shape, axis in (((1, 10), -1), ((2, 3, 4), 1), ((5,), 0), ((3, 4), 0)):
        one = One(shape)
        axis_tensor = one.ints(axis, shape=())
        out = one.b.tensor([n for i, n in enumerate(shape) if i != axis % len(shape)], "int32")
        one.b.op(name, [one.x, axis_tensor], out)
        models.append(one.b.build([one.x], [out]))
    check(kernels, models)


def test_l2_normalization(kernels: Kernels) -> None:
    models = []
    for shape in ((1, 16), (2, 3, 4, 5), (1, 300), (7, 1)):
        for zero_point in (3, -128, 127):
            one = One(shape, zero_point=zero_point)
            table = ("L2NormOptions", {})
            models.append(one.model("L2_NORMALIZATION", [shape], table=table, scale=1 / 128, zero_point=0))
    check(kernels, models)


def test_what_the_interpreter_refuses_is_refused() -> None:
    one = One((1, 4))
    model = one.model("REDUCE_MAX", [(1,)], one.x, one.ints(1), table=("ReducerOptions", {}), scale=0.2)
    with pytest.raises(UnsupportedOperator, match=r"\(REDUCE_MAX\): .* different scales"):
        compile_tflite(model, name="m")
    one = One((1, 4))
    out = one.b.tensor((1,), "int64")
    one.b.op("ARG_MAX", [one.x, one.ints(1, shape=())], out)
    with pytest.raises(UnsupportedOperator, match=r"\(ARG_MAX\): its result is int64") as caught:
        compile_tflite(one.b.build([one.x], [out]), name="m")
    assert "output_type=tf.int32" in caught.value.hint


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (transposed((1, 3, 4, 3), (3, 3), (2, 2), (2, 6, 8, 5), 0), r"\(TRANSPOSE_CONV\): weights"),
        (transposed((1, 3, 4, 3), (3, 3), (0, 2), (1, 6, 8, 5), 0), r"\(TRANSPOSE_CONV\): stride 0x2"),
    ],
)
def test_damaged_operators_are_refused(model: bytes, message: str) -> None:
    with pytest.raises(InvalidModel, match=message):
        compile_tflite(model, name="m")
