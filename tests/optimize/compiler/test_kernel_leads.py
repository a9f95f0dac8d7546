"""The leads that kernels declare, against a replay of their reads and writes byte by byte, and against the C code."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import ClassVar

import pytest
from host_models import Kernels, build_kernels, random_samples, reference, run_sanitized
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_graphs import graphs

from optimize.compiler import CompiledModel, compile_tflite
from optimize.compiler.cores import PORTABLE
from optimize.compiler.emit import emit_model
from optimize.compiler.geometry import contiguous_strides
from optimize.compiler.kernels import (
    ConcatCall,
    ConvCall,
    DepthwiseCall,
    DequantizeCall,
    ElementwiseCall,
    FullyConnectedCall,
    Image,
    Kernel,
    LookupCall,
    MeanCall,
    PadCall,
    PoolCall,
    QuantizeCall,
    Requantize,
    SoftmaxCall,
    SoftmaxTableCall,
    TransposeCall,
    Window,
)
from optimize.compiler.kernels_dsp_depthwise import TURNS, Axis, DspDepthwise3Call
from optimize.compiler.kernels_movement import ByteMove, MoveCall, TakeCall
from optimize.compiler.kernels_sums import (
    AddNCall,
    CumSumCall,
    FloatAddNCall,
    FloatCumSumCall,
    FloatDivCall,
    LogSoftmaxCall,
    SelectCall,
)
from optimize.compiler.kernels_types import BYTES, CastCall, RescaleCall
from optimize.compiler.layout import plan_layout
from optimize.compiler.leads import streaming_lead
from optimize.compiler.passes import run_passes
from optimize.compiler.reader import read_tflite

Step = tuple[Iterable[int], Iterable[int]]
"""(input bytes read, output bytes written after those reads)."""

ANY = Requantize((1 << 30,), (0,), 0, (-128, 127))


def safe(steps: Sequence[Step], distance: int, in_bytes: int, out_bytes: int) -> bool:
    """Whether every byte read is still the input's when the input starts ``distance`` bytes after the output."""
    source, target = max(distance, 0), max(-distance, 0)
    memory: list[int | None] = [None] * (max(source + in_bytes, target + out_bytes))
    memory[source : source + in_bytes] = range(in_bytes)
    for reads, writes in steps:
        if any(memory[source + byte] != byte for byte in reads):
            return False
        for byte in writes:
            memory[target + byte] = None
    return True


def check(steps: Sequence[Step], lead: int | None, in_bytes: int, out_bytes: int) -> None:
    """``lead`` is safe wherever it allows an overlap, and one byte less is not."""
    assert lead is not None
    assert sorted(byte for _, writes in steps for byte in writes) == list(range(out_bytes))
    for distance in range(max(lead, -in_bytes), out_bytes + 1):
        assert safe(steps, distance, in_bytes, out_bytes), distance
    if lead - 1 > -in_bytes:
        assert not safe(steps, lead - 1, in_bytes, out_bytes)


@st.composite
def windows(draw: st.DrawFn) -> tuple[Image, Image, Window]:
    """Input with 1 to 3 channels, output with one channel, and a window between them; padding of any kind."""
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    size, stride, dilation = draw(pair), draw(pair), draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    pad = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    image = Image(draw(st.integers(1, 2)), draw(st.integers(1, 6)), draw(st.integers(1, 5)), draw(st.integers(1, 3)))
    height, width = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    return image, Image(image.batches, height, width, 1), Window(size, stride, dilation, pad)


def window_pixels(image: Image, window: Window, batch: int, oy: int, ox: int) -> Iterator[int]:
    """Numbers of the input pixels that the window at (oy, ox) covers."""
    for ky, kx in product(range(window.size[0]), range(window.size[1])):
        y = oy * window.stride[0] - window.pad[0] + ky * window.dilation[0]
        x = ox * window.stride[1] - window.pad[1] + kx * window.dilation[1]
        if 0 <= y < image.height and 0 <= x < image.width:
            yield (batch * image.height + y) * image.width + x


def pixels(image: Image) -> Iterator[tuple[int, int, int]]:
    return product(range(image.batches), range(image.height), range(image.width))


def values(image: Image, target: Image, window: Window, channels: list[range]) -> list[Step]:
    """One step a value; output channel c reads the input channels ``channels[c]``."""
    steps: list[Step] = []
    for place in pixels(target):
        seen = list(window_pixels(image, window, *place))
        steps += [
            ([p * image.channels + c for p in seen for c in group], [len(steps) + i])
            for i, group in enumerate(channels)
        ]
    return steps


@given(case=windows(), per_group=st.integers(1, 2), grouped=st.booleans())
def test_convolution(case: tuple[Image, Image, Window], per_group: int, grouped: bool) -> None:
    image, one, window = case
    depth = 1 if grouped else image.channels
    groups = [range(g, g + depth) for g in range(0, image.channels, depth) for _ in range(per_group)]
    target = replace(one, channels=len(groups))
    call = ConvCall(image, target, window, depth, 0, ANY, b"", None)
    check(values(image, target, window, groups), call.lead(0), image.elements, target.elements)


@given(case=windows(), multiplier=st.integers(1, 3))
def test_depthwise(case: tuple[Image, Image, Window], multiplier: int) -> None:
    image, one, window = case
    groups = [range(c, c + 1) for c in range(image.channels) for _ in range(multiplier)]
    target = replace(one, channels=len(groups))
    call = DepthwiseCall(image, target, window, 0, ANY, b"", None)
    check(values(image, target, window, groups), call.lead(0), image.elements, target.elements)


@given(case=windows())
def test_pool(case: tuple[Image, Image, Window]) -> None:
    image, one, window = case
    target = replace(one, channels=image.channels)
    call = PoolCall("max", image, target, window, (-128, 127))
    groups = [range(c, c + 1) for c in range(image.channels)]
    check(values(image, target, window, groups), call.lead(0), image.elements, target.elements)


@given(case=windows(), channels=st.integers(1, 4), block=st.integers(1, 7), across=st.booleans())
def test_blocks_of_pixels(case: tuple[Image, Image, Window], channels: int, block: int, across: bool) -> None:
    image, one, window = case
    target = replace(one, channels=channels)
    run = target.height * target.width if across else target.width
    places, steps = list(pixels(target)), []
    for start in range(0, len(places), run):
        for at in range(start, start + run, block):
            end = min(at + block, start + run)
            seen = {p for place in places[at:end] for p in window_pixels(image, window, *place)}
            reads = [p * image.channels + c for p in seen for c in range(image.channels)]
            steps.append((reads, range(at * channels, end * channels)))
    lead = streaming_lead(image, target, window, block=block, across_rows=across)
    check(steps, lead, image.elements, target.elements)


@given(case=windows(), channels=st.integers(1, 4), block=st.integers(1, 5))
def test_rows_copied_once(case: tuple[Image, Image, Window], channels: int, block: int) -> None:
    image, one, window = case
    target = replace(one, channels=channels)
    row_bytes, steps, written = image.width * image.channels, [], 0
    for batch in range(target.batches):
        copied = 0
        for oy in range(target.height):
            last = oy * window.stride[0] - window.pad[0] + (window.size[0] - 1) * window.dilation[0]
            needed = max(copied, min(last + 1, image.height))
            start = batch * image.height
            reads = range((start + copied) * row_bytes, (start + needed) * row_bytes)
            copied = needed
            for ox in range(0, target.width, block):
                end = written + channels * (min(ox + block, target.width) - ox)
                steps.append((reads if ox == 0 else (), range(written, end)))
                written = end
    lead = streaming_lead(image, target, window, block=block, copied_rows=True)
    check(steps, lead, image.elements, target.elements)


@given(batches=st.integers(1, 4), inputs=st.integers(1, 6), outputs=st.integers(1, 6))
def test_fully_connected(batches: int, inputs: int, outputs: int) -> None:
    steps: list[Step] = [
        (range(b * inputs, (b + 1) * inputs), [b * outputs + o]) for b in range(batches) for o in range(outputs)
    ]
    call = FullyConnectedCall(batches, inputs, outputs, 0, ANY, b"", None)
    check(steps, call.lead(0), batches * inputs, batches * outputs)


SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


def walk(extents: Iterable[int], strides: Iterable[int]) -> list[int]:
    pairs = list(strides)
    return [sum(i * s for i, s in zip(index, pairs, strict=True)) for index in product(*map(range, extents))]


@given(shape=SHAPES, data=st.data())
def test_transpose(shape: tuple[int, ...], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(shape))))
    extents = tuple(shape[axis] for axis in order)
    strides = tuple(contiguous_strides(shape)[axis] for axis in order)
    steps: list[Step] = [([read], [at]) for at, read in enumerate(walk(extents, strides))]
    check(steps, TransposeCall(extents, strides).lead(0), len(steps), len(steps))


@given(shape=SHAPES, data=st.data())
def test_mean(shape: tuple[int, ...], data: st.DataObject) -> None:
    flags = data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
    axes = list(zip(shape, contiguous_strides(shape), strict=True))
    kept, reduced = (tuple(a for a, flag in zip(axes, flags, strict=True) if flag is want) for want in (False, True))
    bases, sums = (walk((e for e, _ in pairs), (s for _, s in pairs)) for pairs in (kept, reduced))
    steps: list[Step] = [([base + at for at in sums], [place]) for place, base in enumerate(bases)]
    check(steps, MeanCall(kept, reduced, 0, 1 << 30, 0, 0).lead(0), math.prod(shape), len(bases))


@given(shape=SHAPES, data=st.data())
def test_elementwise_with_broadcasting(shape: tuple[int, ...], data: st.DataObject) -> None:
    small = tuple(data.draw(st.sampled_from((1, extent))) for extent in shape)
    strides = tuple(0 if n == 1 else s for n, s in zip(small, contiguous_strides(small), strict=True))
    full = contiguous_strides(shape)
    call = ElementwiseCall("add", shape, (strides, full), (0, 0), (0, 0), (0, 0), 0, 0, 0, (-128, 127))
    steps: list[Step] = [([read], [at]) for at, read in enumerate(walk(shape, strides))]
    check(steps, call.lead(0), math.prod(small), len(steps))
    assert call.lead(1) == 0 or len(steps) == 1


@given(shape=SHAPES, data=st.data())
def test_pad(shape: tuple[int, ...], data: st.DataObject) -> None:
    amounts = st.lists(st.integers(0, 2), min_size=len(shape), max_size=len(shape)).map(tuple)
    call = PadCall(shape, data.draw(amounts), data.draw(amounts), 0)
    padded = tuple(map(sum, zip(shape, call.before, call.after, strict=True)))
    strides, run, done = contiguous_strides(padded), shape[-1], 0
    origin = sum(b * s for b, s in zip(call.before, strides, strict=True))
    steps: list[Step] = []
    for row, place in enumerate(walk(shape[:-1], strides[:-1])):
        steps.append(((), range(done, origin + place)))
        done = origin + place + run
        steps.append((range(row * run, row * run + run), range(done - run, done)))
    steps.append(((), range(done, math.prod(padded))))
    check(steps, call.lead(0), math.prod(shape), math.prod(padded))


@given(rows=st.integers(1, 4), runs=st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_concat(rows: int, runs: list[int]) -> None:
    stride = sum(runs)
    call = ConcatCall(rows, tuple(runs))
    for operand, run in enumerate(runs):
        steps: list[Step] = []
        for other, length in enumerate(runs):
            start = sum(runs[:other])
            for row in range(rows):
                reads = range(row * run, (row + 1) * run) if other == operand else ()
                steps.append((reads, range(row * stride + start, row * stride + start + length)))
        check(steps, call.lead(operand), rows * run, rows * stride)


@given(
    outer=st.integers(1, 2), rows=st.integers(1, 4), columns=st.integers(1, 4), run=st.integers(1, 3), data=st.data()
)
def test_take(outer: int, rows: int, columns: int, run: int, data: st.DataObject) -> None:
    picked_rows, picked_columns = (
        data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=6)) for n in (rows, columns)
    )
    call = TakeCall((outer, rows, columns), run, tuple(picked_rows), tuple(picked_columns))
    starts = [((o * rows + y) * columns + x) * run for o, y, x in product(range(outer), picked_rows, picked_columns)]
    steps: list[Step] = [(range(at, at + run), range(i * run, (i + 1) * run)) for i, at in enumerate(starts)]
    check(steps, call.lead(0), outer * rows * columns * run, len(starts) * run)


@st.composite
def moves(draw: st.DrawFn) -> ByteMove:
    """A piece of an operand of 24 bytes to a place in a result of 24, some of them backwards."""
    extents = draw(st.lists(st.integers(1, 3), min_size=1, max_size=2).map(tuple))
    strides = [tuple(draw(st.integers(-3, 3)) for _ in extents) for _ in range(2)]
    reach = [
        (
            sum(min(0, (n - 1) * s) for n, s in zip(extents, row, strict=True)),
            sum(max(0, (n - 1) * s) for n, s in zip(extents, row, strict=True)),
        )
        for row in strides
    ]
    run = draw(st.integers(1, 3))
    offsets = [draw(st.integers(-low, 24 - run - high)) for low, high in reach]
    return ByteMove(extents, strides[0], strides[1], run, offsets[0], offsets[1], 0, draw(st.integers(0, 1)))


@given(pieces=st.lists(moves(), min_size=1, max_size=3))
def test_moves(pieces: list[ByteMove]) -> None:
    steps: list[Step] = []
    for move in pieces:
        reads = [at + move.source_offset for at in walk(move.extents, move.source_strides)]
        writes = [at + move.target_offset for at in walk(move.extents, move.target_strides)]
        for source, target in zip(reads, writes, strict=True):
            steps.append(
                (range(source, source + move.run), range(target, target + move.run) if move.target == 0 else ())
            )
    lead = MoveCall(tuple(pieces)).lead(0)
    assert lead is not None
    for distance in range(max(lead, -24), 25):
        assert safe(steps, distance, 24, 24), distance
    assert MoveCall(tuple(pieces), 0, 24).lead(0) is None


@given(count=st.integers(1, 9))
def test_one_value_at_a_time(count: int) -> None:
    def elements(in_bytes: int, out_bytes: int) -> list[Step]:
        return [
            (range(i * in_bytes, (i + 1) * in_bytes), range(i * out_bytes, (i + 1) * out_bytes)) for i in range(count)
        ]

    check(elements(4, 1), QuantizeCall(count, 1.0, 0).lead(0), 4 * count, count)
    check(elements(1, 4), DequantizeCall(count, 1.0, 0).lead(0), count, 4 * count)
    check(elements(1, 2), SoftmaxCall(1, count, 1, 0, 0, "int16").lead(0), count, 2 * count)
    assert SoftmaxTableCall(1, count, (1,)).lead(0) == 0
    for source, target in (("int8", "int16"), ("int8", "int32"), ("int16", "int8"), ("int16", "int16")):
        call = RescaleCall(count, source, target, 0, 1, 0, 0)
        sizes = BYTES[source], BYTES[target]
        check(elements(*sizes), call.lead(0), sizes[0] * count, sizes[1] * count)
    for source, target in (("bool", "int16"), ("int8", "float32"), ("int32", "int8")):
        sizes = BYTES[source], BYTES[target]
        lead = CastCall(count, source, target).lead(0)
        check(elements(*sizes), lead, sizes[0] * count, sizes[1] * count)
    assert CastCall(count, "int32", "float32").lead(0) is None
    assert FloatAddNCall(count, 3).lead(1) == 0
    assert safe(elements(4, 4), 0, 4 * count, 4 * count)
    assert AddNCall(count, 3, 0, 1, 0, 0).lead(2) == LogSoftmaxCall(1, count, 1, 0, 1, 0, 0).lead(0) == 0
    assert RescaleCall(count, "int16", "int32", 0, 1, 0, 0).lead(0) is None
    assert QuantizeCall(count, 1.0, 0, "int16").lead(0) is DequantizeCall(count, 1.0, 0, "int16").lead(0) is None
    for distance in range(count + 1):
        assert LookupCall(count, ()).lead(0) == 0
        assert safe(elements(1, 1), distance, count, count)


@given(outer=st.integers(1, 2), depth=st.integers(1, 4), inner=st.integers(1, 3), reverse=st.booleans())
def test_running_sums(outer: int, depth: int, inner: int, reverse: bool) -> None:
    call = CumSumCall(outer, depth, inner, False, reverse, 0, 1, 0, 0)
    series = [range(i * depth * inner + k, (i + 1) * depth * inner, inner) for i in range(outer) for k in range(inner)]
    places = [place for one in series for place in (reversed(one) if reverse else one)]
    steps = [([place], [place]) for place in places]
    total = outer * depth * inner
    of_floats = FloatCumSumCall(outer, depth, inner, False, reverse)
    assert call.lead(0) == of_floats.lead(0) == 0
    assert call.exact_lead == of_floats.exact_lead
    assert safe(steps, 0, total, total)
    if not call.exact_lead:
        check(steps, 0, total, total)


@given(
    extents=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    size=st.sampled_from((1, 2, 4)),
    repeats=st.tuples(st.booleans(), st.booleans()),
    operand=st.integers(0, 2),
)
def test_choices(extents: tuple[int, int], size: int, repeats: tuple[bool, bool], operand: int) -> None:
    shape = tuple(1 if repeat else extent for extent, repeat in zip(extents, repeats, strict=True))
    strides = tuple(0 if n == 1 else s for n, s in zip(shape, contiguous_strides(shape), strict=True))
    width = 1 if operand == 0 else size
    reads = [i * strides[0] + k * strides[1] for i, k in product(*map(range, extents))]
    steps = [
        (range(read * width, (read + 1) * width), range(step * size, (step + 1) * size))
        for step, read in enumerate(reads)
    ]
    lead = SelectCall(size, extents, (strides, strides, strides)).lead(operand)
    check(steps, lead, math.prod(shape) * width, math.prod(extents) * size)
    if (size, width) == (4, 4):
        assert FloatDivCall(extents, (strides, strides), (0.0, 1.0)).lead(operand - 1) == lead


def band_steps(call: DspDepthwise3Call) -> list[Step]:
    """Four channels at a time, band by band: the rows new to a band are read before its results are written."""
    steps: list[Step] = []
    made, channels = 2 * TURNS // call.stride, call.input.channels
    images = range(call.input.batches)
    for image, group in product(images, range(0, channels, 4)):
        lanes = range(group, min(group + 4, channels))
        sizes = call.input.elements // len(images), call.output.elements // len(images)
        for band, start in enumerate(range(0, call.rows.out_extent, made)):
            rows = range(start, min(start + made, call.rows.out_extent))
            first = band * 2 * TURNS - call.rows.pad + (2 if band else 0)
            last = rows[-1] * call.stride - call.rows.pad + 2
            new = range(max(first, 0), min(last, call.rows.extent - 1) + 1)
            reads = [
                image * sizes[0] + y * call.rows.step + x * call.columns.step + lane
                for y, x, lane in product(new, range(call.columns.extent), lanes)
            ]
            writes = [
                image * sizes[1] + y * call.rows.out_step + x * call.columns.out_step + lane
                for y, x, lane in product(rows, range(call.columns.out_extent), lanes)
            ]
            steps.append((reads, writes))
    return steps


@settings(max_examples=60)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 12),
    channels=st.integers(1, 6),
    batches=st.integers(1, 2),
    stride=st.integers(1, 2),
    same=st.booleans(),
    transposed=st.booleans(),
)
def test_depthwise_in_place(
    height: int, width: int, channels: int, batches: int, stride: int, same: bool, transposed: bool
) -> None:
    extents = [n for n in (height, width) if same or n >= 3]
    if len(extents) < 2:
        return
    out = [-(-n // stride) if same else (n - 3) // stride + 1 for n in extents]
    pads = [max((o - 1) * stride + 3 - n, 0) // 2 for o, n in zip(out, extents, strict=True)]
    image = Image(batches, height, width, channels)
    target = Image(batches, out[0], out[1], channels)
    vertical = Axis(height, out[0], width * channels, out[1] * channels, pads[0])
    horizontal = Axis(width, out[1], channels, channels, pads[1])
    rows, columns = (horizontal, vertical) if transposed else (vertical, horizontal)
    call = DspDepthwise3Call(image, target, rows, columns, stride, 0, (-128, 127), 0, (), ())
    steps = band_steps(call)
    lead = call.lead(0)
    assert sorted(byte for _, writes in steps for byte in writes) == list(range(target.elements))
    if image == target:
        assert lead == -target.elements  # it moves its input in place first
        assert safe(steps, 0, image.elements, target.elements)
    elif lead is not None:
        assert (lead, call.exact_lead) == (0, True)
        assert safe(steps, 0, image.elements, target.elements)
    else:
        assert transposed or not safe(steps, 0, image.elements, target.elements)


def test_a_kernel_of_its_own_file_must_prove_its_own_lead() -> None:
    with pytest.raises(TypeError, match=r"define lead\(\)"):

        @dataclass(frozen=True, slots=True)
        class Faster(LookupCall):
            SOURCE: ClassVar[str] = "src/nn/faster.c"

    assert Kernel.lead(LookupCall(1, ()), 0) is None


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    return build_kernels(tmp_path_factory.mktemp("kernels"))


def packed(model: bytes) -> CompiledModel:
    """The model with a plan without alignment, so that overlaps go to the last byte (int8 needs none)."""
    compiled = compile_tflite(model, name="packed")
    graph = run_passes(read_tflite(model), PORTABLE)
    if any(spec.dtype != "int8" for spec in graph.tensors if spec.data is None):
        return compiled
    layout = plan_layout(graph, alignment=1)
    return replace(compiled, files=emit_model(graph, layout, "packed"), arena_bytes=layout.arena_bytes)


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(models=st.lists(graphs(), min_size=20, max_size=20))
def test_kernels_survive_overlaps_to_the_last_byte(kernels: Kernels, models: list[bytes]) -> None:
    compiled = [packed(model) for model in models]
    samples = [random_samples(item, 4, seed) for seed, item in enumerate(compiled)]
    outputs = run_sanitized(kernels, compiled, samples, f"batch{len(list(kernels.folder.iterdir()))}", stream=True)
    for model, item, sample, actual in zip(models, compiled, samples, outputs, strict=True):
        assert actual == reference(model, sample), item.operators
