"""Depthwise convolutions that run down a plane: every window, stride, border and factor, either way round."""

from __future__ import annotations

from itertools import product

import pytest
from bare_models import run_emulated
from depthwise_models import VALID, Layer, compile_with, tflite
from host_models import build_kernels, random_samples, reference, run_sanitized
from hypothesis import given, settings
from hypothesis import strategies as st
from test_kernel_leads import Step, safe

from optimize.compiler import CompiledModel, compile_tflite
from optimize.compiler.cores import CORTEX_M4
from optimize.compiler.kernels import DepthwiseCall, Image, Kernel
from optimize.compiler.kernels_dsp_depthwise import Axis
from optimize.compiler.kernels_dsp_plane import DspDepthwisePlaneCall
from optimize.compiler.passes.choose_depthwise_plane import crop_window, find_ways, lay

SAMPLES = 3
LAYERS = {
    "5x5": Layer((9, 8, 8), kernel=(5, 5)),
    "5x5, no activation": Layer((9, 8, 8), kernel=(5, 5), activation=0, zero_points=(-3, 20)),
    "5x5, some channels of each kind": Layer((9, 8, 24), kernel=(5, 5), factor=2.0**-18, spread=(-3, 9)),
    "5x5, stride 2, even": Layer((12, 14, 5), 2, kernel=(5, 5)),
    "5x5, stride 2, odd": Layer((13, 11, 5), 2, kernel=(5, 5), batches=2),
    "5x5, one pixel": Layer((1, 1, 4), kernel=(5, 5)),
    "7x7": Layer((10, 9, 3), kernel=(7, 7), activation=0, zero_points=(-3, 20)),
    "7x7, stride 2": Layer((12, 13, 3), 2, kernel=(7, 7)),
    "7x7, small image": Layer((3, 2, 6), kernel=(7, 7), batches=2),
    "7x7, one output": Layer((7, 7, 4), kernel=(7, 7), padding=VALID),
    "6x6, stride 1 and 2": Layer((11, 9, 3), (1, 2), kernel=(6, 6)),
    "1x9": Layer((1, 30, 7), kernel=(1, 9), activation=0, zero_points=(-3, 20)),
    "9x1, two images": Layer((29, 1, 5), kernel=(9, 1), batches=2),
    "9x1, stride 2": Layer((29, 1, 5), (2, 1), kernel=(9, 1)),
    "9x1, stride 3": Layer((29, 2, 5), (3, 1), kernel=(9, 1)),
    "borders wider than the window": Layer((4, 5, 3), kernel=(5, 4), padding=VALID, pads=(6, 7, 5, 9)),
    "borders of odd sizes, stride 2": Layer((7, 6, 3), (2, 2), kernel=(5, 6), padding=VALID, pads=(3, 1, 4, 2)),
    "wide borders, two images, in place": Layer(
        (9, 8, 2), 2, kernel=(3, 3), padding=VALID, pads=(1, 3, 2, 1), batches=2
    ),
    "wide borders, the output grows": Layer((3, 4, 2), kernel=(3, 3), padding=VALID, pads=(3, 4, 5, 4), batches=2),
    "rows that no window sees": Layer((11, 12, 2), (2, 5), kernel=(2, 2), padding=VALID),
    "2x1 to 2, one column": Layer((23, 1, 3), (2, 1), kernel=(2, 1), padding=VALID),
    "5x1, one column of four": Layer((4, 1, 3), kernel=(5, 1)),
    "3x1, one column of three": Layer((3, 1, 3), kernel=(3, 1)),
    "7x1, one column of eight": Layer((8, 1, 3), kernel=(7, 1)),
    "33x1": Layer((50, 1, 3), kernel=(33, 1), weights=(-40, 40)),
    "2x2": Layer((5, 6, 4), kernel=(2, 2)),
    "1x1": Layer((4, 3, 8), kernel=(1, 1)),
    "4x2, strides 2 and 3": Layer((9, 11, 7), (2, 3), kernel=(4, 2)),
    "3x3, stride 3 and 1": Layer((11, 10, 4), (3, 1), padding=VALID),
    "8x5": Layer((10, 9, 2), kernel=(8, 5)),
    "two per channel": Layer((5, 6, 6), multiplier=2, kernel=(5, 3)),
    "three per channel, no activation": Layer(
        (5, 6, 2), 2, multiplier=3, batches=2, activation=0, zero_points=(-3, 20)
    ),
    "four of one channel": Layer((8, 7, 1), kernel=(4, 4), multiplier=4),
    "zero point at the end": Layer((6, 7, 3), kernel=(5, 5), zero_points=(127, -128)),
    "relu6": Layer((6, 6, 8), kernel=(5, 5), activation=3, factor=1 / 6000),
    "relu above the least value": Layer((6, 6, 3), kernel=(5, 4), zero_points=(5, -20)),
    "weights of -128": Layer((6, 6, 4), kernel=(7, 5), weights=(-128, -128)),
    "all weights 127": Layer((6, 6, 4), kernel=(5, 7), weights=(127, 127)),
    "all weights -127, exact": Layer(
        (6, 6, 4), kernel=(5, 7), weights=(-127, -127), activation=0, zero_points=(-3, 20)
    ),
    "dead channels": Layer((6, 6, 4), kernel=(2, 5), weights=(-1, 1), bias=30_000_000, factor=2.0**-24),
}
SIZES = ((1, 8), (2, 3), (3, 6), (4, 9), (5, 2), (6, 5), (7, 1), (8, 4), (9, 7))
STRIDES = tuple(product((1, 2, 3), (1, 2, 3)))
WINDOWS = {
    f"{size[0]}x{size[1]}, image {image}, strides {strides}": Layer(
        (*image, 2),
        strides,
        kernel=size,
        padding=(size[0] + strides[1]) % 2,
        activation=size[0] % 3 % 2,  # none: no single multiplication gives the bytes
    )
    for (size, image), strides in zip(product(SIZES, ((9, 12), (13, 10), (11, 11))), 3 * STRIDES, strict=True)
}

Laid = list[tuple[str, bytes, CompiledModel]]


def both_ways(name: str, layer: Layer) -> Laid:
    """The layer on the kernel, upright and transposed where there are loops for it."""
    model = tflite(layer)
    found = [(f"{name}, way {index}", model, compile_with(model, choice)) for index, choice in enumerate((first, last))]
    return [(label, model, compiled) for label, model, compiled in found if compiled is not None]


def first(call: DepthwiseCall) -> Kernel | None:
    return one_way(call, 0)


def last(call: DepthwiseCall) -> Kernel | None:
    return one_way(call, 1)


def one_way(call: DepthwiseCall, index: int) -> Kernel | None:
    call = crop_window(call)
    ways = find_ways(call)
    return lay(call, ways[index]) if index < len(ways) else None


@pytest.fixture(scope="module")
def laid() -> Laid:
    return [row for name, layer in (LAYERS | WINDOWS).items() for row in both_ways(name, layer)]


def test_every_layer_can_be_laid(laid: Laid) -> None:
    names = {name.rpartition(",")[0] for name, _, _ in laid}
    unlaid = {name for name in WINDOWS if name.endswith("strides (3, 3)")}
    assert names == (LAYERS | WINDOWS).keys() - unlaid


def test_under_the_sanitizers(laid: Laid, tmp_path_factory: pytest.TempPathFactory) -> None:
    samples = [random_samples(compiled, SAMPLES, seed) for seed, (_, _, compiled) in enumerate(laid)]
    kernels = build_kernels(tmp_path_factory.mktemp("kernels"))
    outputs = run_sanitized(kernels, [compiled for _, _, compiled in laid], samples, "layers")
    for (name, model, _), sample, actual in zip(laid, samples, outputs, strict=True):
        assert actual == reference(model, sample), name


@pytest.mark.emulated
def test_on_the_emulated_board(laid: Laid) -> None:
    samples = [random_samples(compiled, SAMPLES, seed) for seed, (_, _, compiled) in enumerate(laid)]
    outputs = run_emulated([compiled for _, _, compiled in laid], samples)
    for (name, model, _), sample, actual in zip(laid, samples, outputs, strict=True):
        assert actual == reference(model, sample), name


CHOSEN = {
    "depthwise_plane_3.c": Layer((12, 12, 8), multiplier=2),
    "depthwise_plane_3_2.c": Layer((12, 12, 8), 2, multiplier=2),
    "depthwise_plane_5.c": Layer((12, 12, 8), kernel=(5, 4)),
    "depthwise_plane_5x5.c": Layer((12, 12, 8), kernel=(5, 5)),
    "depthwise_plane_5_2.c": Layer((12, 12, 8), 2, kernel=(4, 5)),
    "depthwise_plane_7.c": Layer((12, 12, 8), kernel=(7, 7)),
    "depthwise_plane_7_2.c": Layer((12, 12, 8), 2, kernel=(7, 6)),
    "depthwise_plane_9.c": Layer((1, 100, 8), kernel=(1, 9)),
    "depthwise_plane_9_2.c": Layer((1, 100, 8), (1, 2), kernel=(1, 9)),
    "depthwise_plane_any.c": Layer((1, 100, 8), kernel=(1, 11)),
    "depthwise_plane_any_2.c": Layer((1, 100, 8), (1, 2), kernel=(1, 12)),
    "depthwise3.c": Layer((12, 12, 8)),
    "depthwise.c": Layer((7, 1, 32), kernel=(7, 1), padding=VALID),
}


@pytest.mark.parametrize("source", CHOSEN)
def test_the_compiler_chooses_it(source: str) -> None:
    compiled = compile_tflite(tflite(CHOSEN[source]), name="chosen", core=CORTEX_M4.name)
    assert f"src/nn/dsp/{source}" in compiled.kernel_sources


def test_it_stays_off_images_whose_plane_outgrows_them() -> None:
    compiled = compile_tflite(tflite(Layer((96, 96, 2), kernel=(5, 5))), name="large", core=CORTEX_M4.name)
    assert "src/nn/dsp/depthwise.c" in compiled.kernel_sources


def channel_steps(call: DspDepthwisePlaneCall) -> list[Step]:
    """A channel of an image is read whole, then all its results are written."""
    channels, results = call.input.channels, call.output.channels
    in_pixels, out_pixels = call.input.height * call.input.width, call.output.height * call.output.width
    return [
        (
            [(image * in_pixels + pixel) * channels + channel for pixel in range(in_pixels)],
            [
                (image * out_pixels + pixel) * results + channel * (results // channels) + one
                for pixel in range(out_pixels)
                for one in range(results // channels)
            ],
        )
        for image, channel in product(range(call.input.batches), range(channels))
    ]


@settings(max_examples=80)
@given(
    batches=st.integers(1, 3),
    size=st.integers(1, 5),
    out_size=st.integers(1, 6),
    channels=st.integers(1, 5),
    filters=st.integers(1, 2),
)
def test_in_place(batches: int, size: int, out_size: int, channels: int, filters: int) -> None:
    image, target = Image(batches, size, 2, channels), Image(batches, out_size, 2, channels * filters)
    rows = Axis(size, out_size, 2 * channels, 2 * channels * filters, 2)
    columns = Axis(2, 2, channels, channels * filters, 2)
    call = DspDepthwisePlaneCall(image, target, rows, columns, 5, 5, (1, 1), 0, (-128, 127), 0, b"", (), (), None)
    steps = channel_steps(call)
    if call.lead(0) is not None:
        assert (call.lead(0), call.exact_lead) == (0, True)
        assert safe(steps, 0, image.elements, target.elements)
    elif filters == 1 and size > 1:
        assert not safe(steps, 0, image.elements, target.elements)
