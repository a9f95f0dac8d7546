"""The Helium kernels on the emulated Cortex-M55: the interpreter's bytes at every edge."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from bare_models import run_emulated
from differential import check_all, places_of, summary
from host_models import random_samples, reference
from test_dsp_gemm import LAYERS, SAME, VALID, tflite
from tflite_builder import Builder, options

from flota.boardlink.geometry import FIRMWARE_FOLDER
from hil.bare import Engine, Inference, SourceFile, measure_bare
from optimize.compiler import CompiledModel, compile_tflite

BOARD, CORE = "qemu-mps3-an547", "cortex-m55"
FOLDER = Path(os.environ.get("FLOTA_MLPERF_TINY", Path(__file__).resolve().parents[3] / "../shared/data/mlperf_tiny"))


@dataclass(frozen=True)
class Depthwise:
    """A depthwise convolution of ``image`` (height, width, channels)."""

    image: tuple[int, int, int]
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: int = SAME
    activation: int = 0
    weights: tuple[int, int] = (-127, 127)
    factor: float = 1.0 / 300
    zero_points: tuple[int, int] = (-3, 5)
    multiplier: int = 1
    portable: bool = False


DEPTHWISE = {
    "3x3": Depthwise((6, 5, 16)),
    "3x3, nothing divides by eight": Depthwise((5, 7, 13)),
    "3x3, one channel": Depthwise((5, 7, 1)),
    "3x3, stride 2": Depthwise((9, 7, 8), stride=(2, 2)),
    "3x3, stride 2, even": Depthwise((8, 6, 24), stride=(2, 2)),
    "3x3, valid": Depthwise((7, 6, 10), padding=VALID),
    "stride past the window": Depthwise((11, 12, 9), (2, 2), (3, 4), padding=VALID),
    "dilated": Depthwise((9, 10, 12), dilation=(2, 3)),
    "3x3, dilated down": Depthwise((9, 6, 8), dilation=(2, 1)),
    "5x5": Depthwise((6, 6, 11), (5, 5)),
    "1x4": Depthwise((3, 9, 8), (1, 4)),
    "16 rows": Depthwise((20, 1, 10), (16, 1), padding=VALID),
    "17 rows": Depthwise((20, 2, 10), (17, 1), padding=VALID, portable=True),
    "21 rows of one column": Depthwise((40, 1, 12), (21, 1), (3, 1), padding=VALID),
    "one column, dilated": Depthwise((23, 1, 12), (5, 1), dilation=(3, 1)),
    "window larger than the image": Depthwise((2, 2, 8), (5, 5)),
    "all weights 127": Depthwise((4, 4, 8), weights=(127, 127)),
    "all weights -127": Depthwise((4, 4, 8), weights=(-127, -127)),
    "weights of -128": Depthwise((4, 4, 8), weights=(-128, -128), portable=True),
    "relu6": Depthwise((4, 4, 8), activation=3, zero_points=(4, -100)),
    "zero points at the ends": Depthwise((4, 4, 8), zero_points=(127, -128)),
    "zero points at the other ends": Depthwise((4, 4, 8), zero_points=(-128, 127)),
    "factor above one": Depthwise((4, 4, 8), factor=3.0),
    "two outputs a channel": Depthwise((5, 5, 6), multiplier=2, portable=True),
}


def depthwise_model(layer: Depthwise) -> bytes:
    rng = np.random.default_rng(sum(layer.image))
    b, (height, width, channels) = Builder(), layer.image
    filters, (low, high) = channels * layer.multiplier, layer.weights
    scales = [float(np.float32(layer.factor * s)) for s in 4.0 ** -rng.uniform(0, 1, filters)]
    shape = (1, *layer.kernel, filters)
    weights = b.tensor(shape, scale=scales, axis=3, data=rng.integers(low, high + 1, shape).astype(np.int8))
    bias = b.tensor((filters,), "int32", scale=scales, data=rng.integers(-2000, 2001, filters).astype(np.int32))
    x = b.tensor((1, height, width, channels), scale=1.0, zero_point=layer.zero_points[0])
    sides = []
    for axis in range(2):
        reach = (layer.kernel[axis] - 1) * layer.dilation[axis] + 1
        free = layer.image[axis] if layer.padding == SAME else layer.image[axis] - reach + 1
        sides.append(-(-free // layer.stride[axis]))
    y = b.tensor((1, *sides, filters), scale=1.0, zero_point=layer.zero_points[1])
    chosen = options(
        "DepthwiseConv2DOptions",
        padding=layer.padding,
        strideH=layer.stride[0],
        strideW=layer.stride[1],
        dilationHFactor=layer.dilation[0],
        dilationWFactor=layer.dilation[1],
        depthMultiplier=layer.multiplier,
        fusedActivationFunction=layer.activation,
    )
    b.op("DEPTHWISE_CONV_2D", [x, weights, bias], y, chosen)
    return b.build([x], [y])


def compile_all(models: dict[str, bytes]) -> list[CompiledModel]:
    return [compile_tflite(model, name=name, core=CORE) for name, model in models.items()]


def check(models: dict[str, bytes], compiled: list[CompiledModel]) -> None:
    samples = [random_samples(item, 4, seed) for seed, item in enumerate(compiled)]
    outputs = run_emulated(compiled, samples, BOARD)
    for (name, model), sample, actual in zip(models.items(), samples, outputs, strict=True):
        assert actual == reference(model, sample), name


def is_portable(compiled: CompiledModel) -> bool:
    return not any(source.startswith("src/nn/helium/") for source in compiled.kernel_sources)


@pytest.mark.emulated
def test_matrix_products() -> None:
    models = {name: tflite(layer) for name, layer in LAYERS.items()}
    compiled = compile_all(models)
    # Groups have no Helium kernel: the DSP instructions, which the core has too, or portable C compute them.
    assert [is_portable(item) for item in compiled] == [layer.groups > 1 for layer in LAYERS.values()]
    check(models, compiled)


@pytest.mark.emulated
def test_depthwise_convolutions() -> None:
    models = {name: depthwise_model(layer) for name, layer in DEPTHWISE.items()}
    compiled = compile_all(models)
    assert [is_portable(item) for item in compiled] == [layer.portable for layer in DEPTHWISE.values()]
    check(models, compiled)


@pytest.mark.emulated
def test_seeded_graphs() -> None:
    places = places_of(["emulator"], (CORE,))
    tally = check_all(range(55_000_000, 55_000_060), places, jobs=1)
    assert not tally.problems, (tally.problems[:3], summary(tally, places, 0))


@pytest.mark.emulated
@pytest.mark.parametrize("name", ["kws", "ad"])
def test_mlperf_tiny(name: str) -> None:
    path = FOLDER / f"{name}_int8.tflite"
    if not path.is_file():
        pytest.skip(f"{path} is missing; set FLOTA_MLPERF_TINY to the folder of the MLPerf Tiny models")
    model = path.read_bytes()
    compiled = compile_tflite(model, name=name, core=CORE)
    check({name: model}, [compiled])


@pytest.mark.emulated
def test_requantization_is_the_portable_one() -> None:
    """A million sums, multipliers and shifts, the ends of each among them."""
    source = SourceFile(Path(__file__).with_name("helium_scaling.c"))
    include = (FIRMWARE_FOLDER / "include", FIRMWARE_FOLDER / "src" / "nn")
    engine = Engine("requantization", (source,), include=include)
    inferences = [Inference(struct.pack("<II", seed, 250_000)) for seed in (1, 22, 333, 4444)]
    report = measure_bare(engine, inferences, board=BOARD, counted=False)
    assert [struct.unpack("<Iiii", run.output)[0] for run in report.runs] == [0, 0, 0, 0]
