"""Slices, splits, stacks, blocks, mirrors, repeats and picks give the interpreter's bytes; damaged ones are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from bare_models import run_emulated
from host_models import Array, Kernels, build_kernels, load, random_samples, reference, run, run_sanitized
from operator_models import One, check

from optimize.compiler import build_host_library, compile_tflite
from optimize.errors import InvalidModel, UnsupportedOperator

DTYPES = ("int8", "float32", "int32")


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    return build_kernels(tmp_path_factory.mktemp("kernels"))


def sliced(shape: tuple[int, ...], begin: tuple[int, ...], size: tuple[int, ...], dtype: str = "int8") -> bytes:
    one = One(shape, dtype=dtype)
    out = [n - b if s == -1 else s for n, b, s in zip(shape, begin, size, strict=True)]
    return one.model("SLICE", [out], one.x, one.ints(*begin), one.ints(*size), table=("SliceOptions", {}))


def strided(shape: tuple[int, ...], begin: Any, end: Any, steps: Any, out: Any, **masks: int) -> bytes:
    one = One(shape, dtype=masks.pop("dtype", "int8"))  # type: ignore[arg-type]
    operands = (one.ints(*begin), one.ints(*end), one.ints(*steps))
    return one.model("STRIDED_SLICE", [out], one.x, *operands, table=("StridedSliceOptions", masks))


def test_slice(kernels: Kernels) -> None:
    check(
        kernels,
        [
            sliced((1, 5, 6, 3), (0, 1, 2, 0), (1, 3, 4, 3)),
            sliced((2, 5, 6, 3), (1, 0, 5, 1), (1, -1, 1, 1)),
            sliced((7,), (3,), (-1,)),
            sliced((2, 3, 2, 3, 2), (0, 1, 0, 1, 0), (2, 2, 1, 2, -1)),
            *(sliced((3, 4), (1, 1), (2, 2), dtype) for dtype in ("float32",)),
        ],
    )


def test_strided_slice(kernels: Kernels) -> None:
    check(
        kernels,
        [
            strided((1, 6, 7, 3), (0, 1, 0, 0), (1, 6, 7, 3), (1, 2, 3, 1), (1, 3, 3, 3)),
            strided((1, 6, 7, 3), (0, 5, -1, 2), (1, 0, -8, -9), (1, -2, -3, -1), (1, 3, 3, 3)),
            strided((1, 6, 7, 3), (0, 0, 0, 0), (0, 0, 0, 0), (1, -1, 1, -2), (1, 6, 7, 2), beginMask=15, endMask=15),
            strided((2, 6, 7), (1, -2, 0), (2, -1, 7), (1, 1, 1), (7,), shrinkAxisMask=3),
            strided((2, 6, 7), (-1, 2, 3), (0, 0, 0), (1, 1, 1), (), shrinkAxisMask=7),
            strided((9,), (-100,), (100,), (4,), (3,)),
            strided((5, 4), (0, 1), (5, 3), (2, 1), (3, 2), dtype="float32"),
        ],
    )


def test_split(kernels: Kernels) -> None:
    models = []
    for shape, axis, count in (((1, 4, 6, 3), 2, 3), ((1, 4, 6, 3), -3, 2), ((4, 2), 0, 4), ((1, 4, 6, 8), 3, 4)):
        one = One(shape)
        part = [n // count if i == axis % len(shape) else n for i, n in enumerate(shape)]
        table = ("SplitOptions", {"numSplits": count})
        models.append(one.model("SPLIT", [part] * count, one.ints(axis, shape=()), one.x, table=table))
    one = One((2, 7, 3))
    table = ("SplitVOptions", {"numSplits": 3})
    operands = (one.x, one.ints(1, 4, 2), one.ints(1, shape=()))
    models.append(one.model("SPLIT_V", [(2, 1, 3), (2, 4, 3), (2, 2, 3)], *operands, table=table))
    check(kernels, models)


def test_pack_and_unpack(kernels: Kernels) -> None:
    models = []
    for axis, out in ((0, (3, 2, 4)), (1, (2, 3, 4)), (-1, (2, 4, 3))):
        one = One((2, 4))
        y = one.tensor((2, 4))
        constant = one.tensor((2, 4), data=np.arange(8, dtype=np.int8))
        table = ("PackOptions", {"axis": axis, "valuesCount": 3})
        models.append(one.model("PACK", [out], one.x, y, constant, table=table, inputs=[one.x, y]))
    for axis, shape, part in ((0, (3, 2, 4), (2, 4)), (-2, (2, 3, 4), (2, 4)), (2, (2, 3, 2), (2, 3))):
        one = One(shape)
        count = shape[axis]
        models.append(one.model("UNPACK", [part] * count, table=("UnpackOptions", {"axis": axis, "num": count})))
    check(kernels, models)


def test_space_and_depth(kernels: Kernels) -> None:
    check(
        kernels,
        [
            One((2, 4, 6, 3)).model("SPACE_TO_DEPTH", [(2, 2, 3, 12)], table=("SpaceToDepthOptions", {"blockSize": 2})),
            One((1, 6, 3, 1)).model("SPACE_TO_DEPTH", [(1, 2, 1, 9)], table=("SpaceToDepthOptions", {"blockSize": 3})),
            One((2, 2, 3, 12)).model("DEPTH_TO_SPACE", [(2, 4, 6, 3)], table=("DepthToSpaceOptions", {"blockSize": 2})),
            One((1, 2, 1, 9)).model("DEPTH_TO_SPACE", [(1, 6, 3, 1)], table=("DepthToSpaceOptions", {"blockSize": 3})),
        ],
    )


def space_batch(name: str, shape: Any, block: Any, margins: Any, out: Any, zero_point: int = 0) -> bytes:
    one = One(shape, zero_point=zero_point)
    operands = (one.x, one.ints(*block), one.ints(*margins, shape=(len(block), 2)))
    return one.model(name, [out], *operands, table=(name.title().replace("_", "").replace("Nd", "ND") + "Options", {}))


def test_space_and_batch(kernels: Kernels) -> None:
    check(
        kernels,
        [
            space_batch("SPACE_TO_BATCH_ND", (1, 4, 6, 3), (2, 3), (0, 0, 0, 0), (6, 2, 2, 3), 5),
            space_batch("SPACE_TO_BATCH_ND", (2, 6, 2), (3,), (0, 0), (6, 2, 2), 5),
            space_batch("BATCH_TO_SPACE_ND", (6, 2, 2, 3), (2, 3), (0, 0, 0, 0), (1, 4, 6, 3), 5),
            space_batch("BATCH_TO_SPACE_ND", (8, 4, 4, 2), (2, 2), (1, 2, 0, 2), (2, 5, 6, 2), 5),
            space_batch("BATCH_TO_SPACE_ND", (3, 3, 2), (3,), (2, 0), (1, 7, 2), 5),
        ],
    )


@pytest.mark.parametrize("mode", [0, 1])
def test_mirror_pad(kernels: Kernels, mode: int) -> None:
    models = []
    for shape, amounts in (
        ((1, 4, 5, 2), (0, 0, 2, 1, 1, 3, 0, 0)),
        ((2, 3, 2), (1, 1, 2, 2, 0, 1)),
        ((5,), (4, 4)),
    ):
        one = One(shape)
        out = [n + a + b for n, a, b in zip(shape, amounts[::2], amounts[1::2], strict=True)]
        operands = (one.x, one.ints(*amounts, shape=(len(shape), 2)))
        models.append(one.model("MIRROR_PAD", [out], *operands, table=("MirrorPadOptions", {"mode": mode})))
    check(kernels, models)


def test_broadcast_reverse_and_gather(kernels: Kernels) -> None:
    models = []
    for shape, out in (((1, 3, 1), (2, 3, 4)), ((4,), (3, 2, 4)), ((1,), (5,)), ((2, 1, 3), (2, 5, 3))):
        one = One(shape)
        models.append(one.model("BROADCAST_TO", [out], one.x, one.ints(*out), table=("BroadcastToOptions", {})))
    for shape, positions, axis in (
        ((2, 5, 3), (4, 0, 0, 2), 1),
        ((6, 2), (5, 1), 0),
        ((2, 3, 4), (3, 1), -1),
        ((2, 3, 4), (0, 1, 2), 1),
    ):
        one = One(shape)
        out = [len(positions) if i == axis % len(shape) else n for i, n in enumerate(shape)]
        table = ("GatherOptions", {"axis": axis, "batchDims": 0})
        models.append(one.model("GATHER", [out], one.x, one.ints(*positions), table=table))
    check(kernels, models)


def looked_up(shape: tuple[int, ...], places: tuple[int, ...], axis: int, batch: int = 0, dtype: str = "int8") -> bytes:
    """GATHER with positions that are a graph input, from a constant table where there is no batch."""
    one = One(shape, dtype=dtype)
    data = np.random.default_rng(3).integers(-128, 128, shape).astype(np.int8)
    source = one.x if batch or dtype != "int8" else one.tensor(shape, data=data)
    positions = one.b.tensor(places, "int32")
    out = (*shape[:axis], *places[batch:], *shape[axis + 1 :])
    table = ("GatherOptions", {"axis": axis, "batchDims": batch})
    inputs = [positions] if source != one.x else [source, positions]
    return one.model("GATHER", [out], source, positions, table=table, inputs=inputs)


def positions_within(model: bytes, count: int, seed: int) -> list[list[Array]]:
    """Samples whose int32 inputs are below ``count``."""
    samples = random_samples(compile_tflite(model, name="m"), 4, seed)
    return [[v % count if v.dtype == np.int32 else v for v in sample] for sample in samples]


def lookups() -> tuple[list[bytes], list[int]]:
    """(models, entries of the axis)."""
    one = One((5, 3, 2))
    rows = one.b.tensor((4,), "int32")
    table = one.tensor((5, 3, 2), data=np.arange(30, dtype=np.int8).reshape(5, 3, 2))
    embedding = one.model("EMBEDDING_LOOKUP", [(4, 3, 2)], rows, table, inputs=[rows])
    cases = (
        ((10, 4), (1, 7), 0, 0, "int8"),
        ((3, 5, 2), (2, 2), 1, 0, "int8"),
        ((3, 5, 2), (3, 4), 1, 1, "int8"),
        ((3, 2, 5), (3, 2), 2, 1, "int8"),
        ((3, 2, 5), (3, 2), 2, 2, "float32"),
        ((6,), (), 0, 0, "float32"),
    )
    return [embedding, *(looked_up(*case) for case in cases)], [5, *(case[0][case[2]] for case in cases)]


def test_picks_by_positions_of_run_time(kernels: Kernels) -> None:
    models, counts = lookups()
    samples = [
        positions_within(model, count, seed) for seed, (model, count) in enumerate(zip(models, counts, strict=True))
    ]
    compiled = [compile_tflite(model, name="m") for model in models]
    outputs = run_sanitized(kernels, compiled, samples, "picks")
    assert outputs == [reference(model, sample) for model, sample in zip(models, samples, strict=True)]


def test_a_position_outside_takes_the_nearest_entry(kernels: Kernels) -> None:
    model = looked_up((10, 1), (4,), 0)
    ends = [np.array(values, np.int32) for values in ([-1, 10, -(2**31), 2**31 - 1], [0, 9, 0, 9])]
    outside, inside = run_sanitized(kernels, [compile_tflite(model, name="m")], [[[v] for v in ends]], "outside")[0]
    assert outside == inside


@pytest.mark.emulated
def test_picks_on_the_emulated_board() -> None:
    models, counts = lookups()
    samples = [positions_within(model, count, 1) for model, count in zip(models, counts, strict=True)]
    compiled = [compile_tflite(model, name="m", core="cortex-m4") for model in models]
    for model, sample, outputs in zip(models, samples, run_emulated(compiled, samples), strict=True):
        assert outputs == reference(model, sample)


def test_batch_dimensions_that_differ_are_refused() -> None:
    with pytest.raises(InvalidModel, match=r"\(GATHER\): 1 batch dimensions of \[3, 5\] and \[2, 4\]"):
        compile_tflite(looked_up((3, 5), (2, 4), 1, 1), name="m")


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_gather_by_vectors(kernels: Kernels, dtype: str) -> None:
    models = []
    for shape, indices in (
        ((3, 4, 5), [[2], [0], [2]]),
        ((3, 4, 5), [[[2, 3], [0, 0]], [[1, 1], [2, 0]]]),
        ((3, 4, 5), [[2, 3, 4], [0, 0, 1]]),
        ((7,), [[6]]),
    ):
        one = One(shape, dtype=dtype)
        places = np.array(indices, np.int32)
        out = (*places.shape[:-1], *shape[places.shape[-1] :])
        vectors = one.ints(*places.ravel().tolist(), shape=places.shape)
        models.append(one.model("GATHER_ND", [out], one.x, vectors))
    check(kernels, models)


def test_a_gather_outside_is_refused() -> None:
    one = One((3, 4))
    with pytest.raises(InvalidModel, match=r"\(GATHER_ND\): an index lies outside \[3, 4\]"):
        compile_tflite(one.model("GATHER_ND", [(1,)], one.x, one.ints(0, 4, shape=(1, 2))), name="m")
    one = One((3, 4))
    with pytest.raises(InvalidModel, match=r"\(GATHER_ND\): indices of shape \[1, 3\] into \[3, 4\]"):
        compile_tflite(one.model("GATHER_ND", [(1,)], one.x, one.ints(0, 1, 2, shape=(1, 3))), name="m")


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_an_updated_slice(kernels: Kernels, dtype: str) -> None:
    """Starts outside are brought inside, as the interpreter does."""
    models = []
    for shape, part, starts in (
        ((3, 4, 5), (1, 2, 3), (1, 1, 1)),
        ((3, 4, 5), (3, 4, 2), (0, 0, 3)),
        ((3, 4, 5), (3, 4, 5), (0, 0, 0)),
        ((2, 6), (1, 2), (-4, 9)),
        ((9,), (3,), (6,)),
    ):
        one = One(shape, dtype=dtype)
        update = one.tensor(part)
        inputs = [one.x, update]
        models.append(one.model("DYNAMIC_UPDATE_SLICE", [shape], *inputs, one.ints(*starts), inputs=inputs))
    check(kernels, models)


def test_an_update_larger_than_what_it_updates_is_refused() -> None:
    one = One((3, 4))
    inputs = [one.x, one.tensor((3, 5))]
    model = one.model("DYNAMIC_UPDATE_SLICE", [(3, 4)], *inputs, one.ints(0, 0), inputs=inputs)
    with pytest.raises(InvalidModel, match=r"\[3, 5\] at \[0, 0\] of \[3, 4\]"):
        compile_tflite(model, name="m")


def test_shapes_that_broadcast_are_computed_at_compile_time(kernels: Kernels) -> None:
    one = One((1, 3, 1))
    shape = one.b.op("BROADCAST_ARGS", [one.ints(2, 1, 4), one.ints(3, 1)], one.b.tensor((3,), "int32"))
    compiled = compile_tflite(one.model("BROADCAST_TO", [(2, 3, 4)], one.x, shape), name="m")
    assert compiled.operators == ("BROADCAST_TO",)
    values = np.array([[[1], [2], [3]]], np.int8)  # the interpreter broadcasts to constant shapes only
    [[output]] = run_sanitized(kernels, [compiled], [[[values]]], "broadcast")[0]
    assert output == np.broadcast_to(values, (2, 3, 4)).tobytes()
    one = One((1, 3, 1))
    shape = one.b.op("BROADCAST_ARGS", [one.ints(2, 1, 4), one.ints(3, 3)], one.b.tensor((3,), "int32"))
    with pytest.raises(InvalidModel, match=r"\(BROADCAST_ARGS\): .* do not broadcast"):
        compile_tflite(one.model("BROADCAST_TO", [(2, 3, 4)], one.x, shape), name="m")


@pytest.mark.parametrize("flags", [(False, False), (True, False), (False, True)])
def test_resize_nearest(kernels: Kernels, flags: tuple[bool, bool]) -> None:
    models = []
    table = ("ResizeNearestNeighborOptions", {"alignCorners": flags[0], "halfPixelCenters": flags[1]})
    for shape, size in (
        ((1, 3, 4, 2), (6, 8)),
        ((2, 5, 4, 3), (7, 3)),
        ((1, 1, 9, 1), (4, 1)),
        ((1, 8, 8, 4), (3, 20)),
    ):
        one = One(shape)
        out = (shape[0], *size, shape[3])
        models.append(one.model("RESIZE_NEAREST_NEIGHBOR", [out], one.x, one.ints(*size), table=table))
    check(kernels, models)


@pytest.mark.parametrize(
    ("shape", "block", "margins", "out"),
    [((2, 5, 6, 2), (2, 2), (1, 2, 0, 2), (8, 4, 4, 2)), ((1, 7, 2), (3,), (2, 0), (3, 3, 2))],
)
def test_space_to_batch_pads_with_the_zero_point(
    tmp_path: Path, shape: Any, block: Any, margins: Any, out: Any
) -> None:
    """As TensorFlow Lite does; the TFLM interpreter pads with memory it never set, a new value at every start."""
    model = space_batch("SPACE_TO_BATCH_ND", shape, block, margins, out, 5)
    compiled = compile_tflite(model, name="m")
    library = load(build_host_library(compiled, tmp_path))
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    for sample in random_samples(compiled, 4, seed=1):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample[0])
        interpreter.invoke()
        expected = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        assert run(library, sample) == [expected.tobytes()]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (sliced((4, 4), (1, 1), (4, 2)), r"\(SLICE\): begin \[1, 1\] and size \[4, 2\] of shape \[4, 4\]"),
        (strided((4,), (3,), (1,), (1,), (1,)), r"\(STRIDED_SLICE\): .* leave nothing"),
        (strided((4,), (0,), (4,), (0,), (1,)), r"\(STRIDED_SLICE\): .* strides \[0\]"),
        (strided((4,), (0,), (4,), (1,), (3,)), r"\(STRIDED_SLICE\): output \[3\], expected \[4\]"),
        (
            One((2, 3)).model("UNPACK", [(3,)], table=("UnpackOptions", {"axis": 0, "num": 1})),
            r"\(UNPACK\): 1 outputs of 2 on axis 0",
        ),
        (
            One((2, 3)).model("UNPACK", [(3,), (3,)], table=("UnpackOptions", {"axis": 0, "num": 3})),
            r"\(UNPACK\): its options tell of 3 tensors, it has 2",
        ),
        (
            One((2, 3)).model("PACK", [(1, 2, 3)], table=("PackOptions", {"axis": 0, "valuesCount": 2})),
            r"\(PACK\): its options tell of 2 tensors, it has 1",
        ),
        (
            One((1, 3, 3, 1)).model("SPACE_TO_DEPTH", [(1, 1, 1, 4)], table=("SpaceToDepthOptions", {"blockSize": 2})),
            "do not divide 3x3",
        ),
    ],
)
def test_damaged_operators_are_refused(model: bytes, message: str) -> None:
    with pytest.raises(InvalidModel, match=message):
        compile_tflite(model, name="m")


@pytest.mark.parametrize("masks", [{"ellipsisMask": 1}, {"newAxisMask": 1}, {"offset": True}])
def test_strided_slices_the_interpreter_misreads_are_refused(masks: dict[str, int]) -> None:
    with pytest.raises(UnsupportedOperator, match="STRIDED_SLICE"):
        compile_tflite(strided((4,), (0,), (4,), (1,), (4,), **masks), name="m")


def test_an_axis_that_is_dropped_backwards_is_refused() -> None:
    """The interpreter would copy nothing."""
    with pytest.raises(UnsupportedOperator, match="backwards on an axis that it drops"):
        compile_tflite(strided((4,), (2,), (1,), (-1,), (), shrinkAxisMask=1), name="m")


def test_what_moves_nothing_needs_no_code(kernels: Kernels) -> None:
    whole = sliced((1, 4, 3), (0, 0, 0), (1, -1, 3))
    one = One((1, 4, 1, 3))
    turned = one.model("TRANSPOSE", [(4, 1, 1, 3)], one.x, one.ints(1, 0, 2, 3), table=("TransposeOptions", {}))
    one = One((2, 3))
    joined = one.model("CONCATENATION", [(2, 3)], one.x, table=("ConcatenationOptions", {"axis": 1}))
    split = One((2, 3))
    parted = split.model("SPLIT", [(2, 3)], split.ints(0, shape=()), split.x, table=("SplitOptions", {"numSplits": 1}))
    models = [whole, turned, joined, parted]
    assert [compile_tflite(model, name="m").operators for model in models] == [()] * 4
    check(kernels, models)
