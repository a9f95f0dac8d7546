"""BATCH_MATMUL gives the interpreter's bytes: both sides at run time or one constant, swapped axes, broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from host_models import Kernels, build_kernels
from operator_models import check as check_on
from tflite_builder import Builder, options

from optimize.compiler import compile_tflite
from optimize.errors import InvalidModel


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    return build_kernels(tmp_path_factory.mktemp("kernels"))


Shape = tuple[int, ...]


def check(kernels: Kernels, models: Sequence[bytes]) -> None:
    """In portable C, and with the DSP extension where the rows of the left side lie in one piece."""
    for core in ("portable", "cortex-m4"):
        check_on(kernels, models, core)


def product(left: Shape, right: Shape, out: Shape, *, seed: int = 0, **how: Any) -> bytes:
    """``how``: adjX, adjY, constant (which side is: "left", "right")."""
    b, rng = Builder(), np.random.default_rng(seed)
    constant = how.pop("constant", "")
    scales = [float(np.float32(2.0 ** rng.uniform(-9, -2))) for _ in range(2)]
    zero_points = [int(rng.choice([-128, 127, 0, int(rng.integers(-128, 128))])) for _ in range(3)]
    operands = []
    for place, (side, shape) in enumerate((("left", left), ("right", right))):
        data = rng.integers(-128, 128, shape).astype(np.int8) if side == constant else None
        operands.append(b.tensor(shape, scale=scales[place], zero_point=zero_points[place], data=data))
    depth = left[-2 if how.get("adjX") else -1]
    out_scale = float(np.float32(scales[0] * scales[1] * 74 * 74 * np.sqrt(depth) / 30 * 2.0 ** rng.uniform(0, 2)))
    result = b.tensor(out, scale=out_scale, zero_point=zero_points[2])
    b.op("BATCH_MATMUL", operands, result, options("BatchMatMulOptions", **how))
    return b.build([x for x, side in zip(operands, ("left", "right"), strict=True) if side != constant], [result])


def test_products(kernels: Kernels) -> None:
    shapes: list[tuple[Shape, Shape, Shape]] = [
        ((3, 4), (4, 5), (3, 5)),
        ((1, 3, 7), (1, 7, 2), (1, 3, 2)),
        ((2, 3, 4), (2, 4, 5), (2, 3, 5)),
        ((1, 4, 6, 3), (1, 4, 3, 6), (1, 4, 6, 6)),
        ((2, 1, 2, 3, 4), (2, 3, 2, 4, 1), (2, 3, 2, 3, 1)),
    ]
    check(kernels, [product(*three, seed=seed) for seed, three in enumerate(shapes * 2)])


def test_every_depth_and_an_odd_number_of_columns(kernels: Kernels) -> None:
    """Columns go in pairs, sums in quads; large factors and depths need the general rounding."""
    models = [
        product((2, depth), (depth, columns), (2, columns), seed=depth) for depth in range(1, 14) for columns in (1, 4)
    ]
    models += [product((1, 3, 20_000), (1, 20_000, 1), (1, 3, 1), seed=1), strong()]
    check(kernels, models)


def strong() -> bytes:
    """A product that is multiplied by more than one."""
    b = Builder()
    left, right = b.tensor((3, 5), scale=1.0, zero_point=9), b.tensor((5, 3), scale=1.5, zero_point=-9)
    b.op("BATCH_MATMUL", [left, right], b.tensor((3, 3), scale=1.0), options("BatchMatMulOptions"))
    return b.build([left, right], [2])


def test_products_of_rows_in_one_piece_are_on_the_dsp_extension() -> None:
    for swapped in (False, True):
        left = (2, 4, 3) if swapped else (2, 3, 4)
        compiled = compile_tflite(product(left, (2, 4, 5), (2, 3, 5), adjX=swapped), name="m", core="cortex-m4")
        assert ("src/nn/dsp/batch_matmul.c" in compiled.kernel_sources) is not swapped


def test_swapped_axes(kernels: Kernels) -> None:
    models = [
        product((2, 4, 3), (2, 4, 5), (2, 3, 5), adjX=True, seed=1),
        product((2, 3, 4), (2, 5, 4), (2, 3, 5), adjY=True, seed=2),
        product((2, 4, 3), (2, 5, 4), (2, 3, 5), adjX=True, adjY=True, seed=3),
    ]
    check(kernels, models)


def test_constant_sides(kernels: Kernels) -> None:
    models = [
        product((2, 3, 4), (4, 5), (2, 3, 5), constant="right", seed=4),
        product((1, 3, 4), (1, 5, 4), (1, 3, 5), constant="right", adjY=True, seed=5),
        product((3, 4), (2, 4, 5), (2, 3, 5), constant="left", seed=6),
    ]
    check(kernels, models)


def test_broadcasting(kernels: Kernels) -> None:
    models = [
        product((1, 3, 4), (6, 4, 5), (6, 3, 5), seed=7),
        product((6, 3, 4), (1, 4, 5), (6, 3, 5), seed=8),
        product((2, 1, 3, 4), (1, 3, 4, 5), (2, 3, 3, 5), seed=9),
        product((3, 4), (2, 2, 4, 5), (2, 2, 3, 5), seed=10),
        product((2, 3, 3, 4), (3, 4, 2), (2, 3, 3, 2), seed=11),
    ]
    check(kernels, models)


@pytest.mark.parametrize(
    ("left", "right", "out", "match"),
    [
        ((3, 4), (5, 4), (3, 4), "do not multiply"),
        ((2, 3, 4), (3, 4, 5), (2, 3, 5), "do not multiply"),
        ((4,), (4, 5), (5,), "do not multiply"),
        ((3, 4), (4, 5), (3, 4), r"output \[3, 4\], expected \[3, 5\]"),
        ((1, 40000), (40000, 1), (1, 1), "can leave 32 bits"),
    ],
)
def test_what_does_not_multiply_is_refused(left: Shape, right: Shape, out: Shape, match: str) -> None:
    with pytest.raises(InvalidModel, match=match):
        compile_tflite(product(left, right, out, seed=12), name="m")
