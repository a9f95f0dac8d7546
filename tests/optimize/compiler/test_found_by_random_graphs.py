"""Each graph here once differed from the interpreter, was refused, or crashed; the smallest form of it is kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from bare_models import BOARDS, run_emulated
from host_models import Kernels, build_kernels, random_samples, reference, run_sanitized
from tflite_builder import Builder, options

from optimize.compiler import compile_tflite

CORES = ("portable", "cortex-m4")
CONV = {"padding": 1, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    return build_kernels(tmp_path_factory.mktemp("kernels"))


def padded_below_and_right() -> bytes:
    """A 1x1 convolution over padding that is only below and to the right has more outputs than inputs."""
    b = Builder()
    x = b.tensor((1, 3, 4, 5), scale=0.5, zero_point=7)
    padded = b.tensor((1, 5, 5, 5), scale=0.5, zero_point=7)
    b.op("PAD", [x, b.constant([0, 0, 0, 2, 0, 1, 0, 0], (4, 2))], padded, options("PadOptions"))
    data = np.random.default_rng(1).integers(-127, 128, (6, 1, 1, 5)).astype(np.int8)
    weights = b.tensor((6, 1, 1, 5), scale=0.02, data=data)
    y = b.op("CONV_2D", [padded, weights], b.tensor((1, 5, 5, 6), scale=0.9), options("Conv2DOptions", **CONV))
    return b.build([x], [y])


def padded_past_the_window() -> bytes:
    """Below and to the right of a 3x3 depthwise convolution there is room for windows that see padding alone."""
    b = Builder()
    x = b.tensor((1, 6, 5, 4), scale=0.5, zero_point=7)
    padded = b.tensor((1, 12, 11, 4), scale=0.5, zero_point=7)
    b.op("PAD", [x, b.constant([0, 0, 1, 5, 1, 5, 0, 0], (4, 2))], padded, options("PadOptions"))
    data = np.random.default_rng(1).integers(-127, 128, (1, 3, 3, 4)).astype(np.int8)
    weights = b.tensor((1, 3, 3, 4), scale=0.02, data=data)
    table = options("DepthwiseConv2DOptions", depthMultiplier=1, **CONV)
    y = b.op("DEPTHWISE_CONV_2D", [padded, weights], b.tensor((1, 10, 9, 4), scale=0.9), table)
    return b.build([x], [y])


def padded_beside_the_image() -> bytes:
    """A 1x1 convolution with stride 2 over an image of one column, behind another of padding, which is all it sees."""
    b = Builder()
    x = b.tensor((1, 6, 1, 3), scale=0.5, zero_point=7)
    padded = b.tensor((1, 6, 2, 3), scale=0.5, zero_point=7)
    b.op("PAD", [x, b.constant([0, 0, 0, 0, 1, 0, 0, 0], (4, 2))], padded, options("PadOptions"))
    strided = CONV | {"strideH": 2, "strideW": 2}
    outputs = []
    for name, shape in (("DEPTHWISE_CONV_2D", (1, 1, 1, 3)), ("CONV_2D", (3, 1, 1, 3))):
        data = np.random.default_rng(1).integers(-127, 128, shape).astype(np.int8)
        weights = b.tensor(shape, scale=0.02, data=data)
        depthwise = name != "CONV_2D"
        table = options("DepthwiseConv2DOptions" if depthwise else "Conv2DOptions", **strided)
        table.depthMultiplier = 1
        outputs.append(b.op(name, [padded, weights], b.tensor((1, 3, 1, 3), scale=0.9, zero_point=-5), table))
    return b.build([x], outputs)


def quantized_constant() -> bytes:
    """Floats that the file has as constants, and quantizes at run time."""
    b = Builder()
    x = b.tensor((1, 4), scale=0.5)
    floats = b.tensor((1, 4), "float32", data=np.array([[1.0, 2.0, -3.0, 0.25]], np.float32))
    constant = b.op("QUANTIZE", [floats], b.tensor((1, 4), scale=0.5))
    return b.build([x], [b.op("ADD", [x, constant], b.tensor((1, 4), scale=1.0), options("AddOptions"))])


def delayed() -> bytes:
    """What was assigned in the invocation before: a copy, for which no kernel of ours has to be linked."""
    b = Builder()
    x = b.tensor((1, 6), scale=0.5)
    handle = b.variable(np.arange(6, dtype=np.int8).reshape(1, 6))
    before = b.op("READ_VARIABLE", [handle], b.tensor((1, 6), scale=0.5), options("ReadVariableOptions"))
    b.op("ASSIGN_VARIABLE", [handle, x], [], options("AssignVariableOptions"))
    return b.build([x], [before])


FOUND = (padded_below_and_right, padded_past_the_window, padded_beside_the_image, quantized_constant, delayed)


@pytest.mark.parametrize("graph", FOUND)
def test_it_gives_the_interpreters_bytes(kernels: Kernels, graph: Callable[[], bytes]) -> None:
    model = graph()
    compiled = [compile_tflite(model, name="found", core=core) for core in CORES]
    samples = random_samples(compiled[0], 6, seed=1)
    outputs = run_sanitized(kernels, compiled, [samples] * len(CORES), graph.__name__, stream=True)
    assert outputs == [reference(model, samples)] * len(CORES)


@pytest.mark.emulated
@pytest.mark.parametrize("core", sorted(BOARDS))
def test_it_gives_them_on_the_emulated_boards(core: str) -> None:
    models = [graph() for graph in FOUND]
    compiled = [compile_tflite(model, name="found", core=core) for model in models]
    samples = [random_samples(item, 4, seed=1) for item in compiled]
    outputs = run_emulated(compiled, samples, BOARDS[core])
    assert outputs == [reference(model, sample) for model, sample in zip(models, samples, strict=True)]


def test_very_many_channels_are_not_searched_for_cheaper_arithmetic() -> None:
    """A small file may claim 60,000 channels; a search of milliseconds for each would take minutes."""
    b, shape = Builder(), (1, 3, 3, 60_000)
    x = b.tensor(shape, scale=0.5)
    weights = b.tensor(shape, scale=0.02, data=np.ones(shape, np.int8))
    table = options("DepthwiseConv2DOptions", depthMultiplier=1, **CONV)
    y = b.op("DEPTHWISE_CONV_2D", [x, weights], b.tensor((1, 1, 1, 60_000), scale=0.9), table)
    compiled = compile_tflite(b.build([x], [y]), name="many", core="cortex-m4")
    assert compiled.kernel_sources == ("src/nn/depthwise.c",)
