"""Profiles as data, tables, text and pictures, on one made by hand."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import pytest
from rich.console import Console

from flota.errors import UsageError
from hil.profile.memory_map import memory_map
from hil.profile.picture import Box, check_picture_path, draw, write_picture
from hil.profile.render import render_report
from hil.profile.report import MemoryRow, Profile, ProfileReport, ProfileStep, pair_steps


def step(position: int, operator: str, cycles: int | None, *, macs: int = 0) -> ProfileStep:
    per_mac = cycles / macs if cycles is not None and macs else None
    return ProfileStep(
        position=position,
        operator=operator,
        kernel=operator.lower(),
        instructions=100 * (position + 1),
        cycles_modelled=cycles,
        share=0.25,
        macs=macs,
        cycles_per_mac=per_mac,
        weight_bytes=10,
        scratch_bytes=0,
    )


def row(
    label: str, offset: int, size: int, first: int, last: int, kind: Literal["tensor", "scratch", "state"] = "tensor"
) -> MemoryRow:
    return MemoryRow(label=label, kind=kind, offset=offset, bytes=size, first=first, last=last)


STEPS = (step(0, "CONV_2D", 1000, macs=400), step(1, "RELU", 300), step(12, "SOFTMAX", 200))
MEMORY = (
    row("kept", 0, 16, -1, 3, "state"),
    row("input x", 16, 32, -1, 0),
    row("0 CONV_2D", 48, 64, 0, 1),
    row("scratch of 0 CONV_2D", 112, 16, 0, 0, "scratch"),
    row("1 RELU", 48, 64, 1, 2),
    row("12 SOFTMAX", 16, 16, 2, 3),
)


def profile(
    steps: tuple[ProfileStep, ...] = STEPS, *, model: str = "small", cycles: int | None = 1600, identical: bool = True
) -> Profile:
    return Profile(
        model=model,
        file=f"{model}.tflite",
        sha256="0" * 64,
        board="qemu-mps2-an386",
        core="cortex-m4",
        instructions=700,
        cycles_modelled=cycles,
        ram_bytes=200,
        arena_bytes=128,
        stack_bytes=40,
        flash_bytes=5000,
        weight_bytes=30,
        identical=identical,
        steps=steps,
        memory=MEMORY,
    )


def report(*profiles: Profile) -> ProfileReport:
    return ProfileReport(
        created_at="2026-01-01T00:00:00+00:00", how="counted by hand", tools={}, profiles=profiles or (profile(),)
    )


def printed(of: ProfileReport) -> str:
    console = Console(file=io.StringIO(), width=160, highlight=False)
    console.print(render_report(of))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_has_every_operator_the_rest_and_the_sum() -> None:
    lines = [line.split() for line in printed(report()).splitlines()]
    assert ["0", "CONV_2D", "conv_2d", "100", "1,000", "25.0%", "400", "2.50", "10"] in lines
    assert ["1", "RELU", "relu", "200", "300", "25.0%", "10"] in lines
    assert ["everything", "else", "-900", "100", "25.0%"] in lines
    assert ["whole", "inference", "700", "1,600", "100.0%", "400", "4.00", "30"] in lines


def test_cycles_are_always_called_modelled_and_left_out_where_there_are_none() -> None:
    assert "cycles, modelled" in printed(report())
    bare = tuple(step(one.position, one.operator, None) for one in STEPS)
    assert "cycles" not in printed(report(profile(bare, cycles=None)))


def test_a_wrong_output_stands_out() -> None:
    assert "outputs equal to TFLM's" in printed(report())
    assert "outputs DIFFERENT FROM TFLM's" in printed(report(profile(identical=False)))


def test_two_profiles_are_matched_by_position_and_operator() -> None:
    other = (step(0, "CONV_2D", 500, macs=400), step(1, "TANH", 300), step(12, "SOFTMAX", 300), step(12, "SOFTMAX", 7))
    pairs = pair_steps(profile(), profile(other, model="other"))
    found = [(pair.first and pair.first.cost, pair.second and pair.second.cost) for pair in pairs]
    assert found == [(1000, 500), (300, None), (None, 300), (200, 300), (None, 7)]
    text = printed(report(profile(), profile(other, model="other", cycles=800)))
    lines = [line.split() for line in text.splitlines()]
    assert ["0", "CONV_2D", "conv_2d", "1,000", "conv_2d", "500", "0.500"] in lines
    assert ["1", "RELU", "relu", "300", "-", "-", "-"] in lines
    assert ["1", "TANH", "-", "-", "tanh", "300", "-"] in lines
    assert ["whole", "inference", "1,600", "800", "0.500"] in lines


def test_the_map_shows_what_lies_where_when() -> None:
    assert memory_map(profile(), rows=8).splitlines() == [
        "     112  .d...",
        "      96  .cee.",
        "      80  .cee.",
        "      64  .cee.",
        "      48  .cee.",
        "      32  bb...",
        "      16  bb.ff",
        "       0  aaaaa",
        "operator   011",
        "             2",
    ]


def test_a_map_of_no_arena_says_so() -> None:
    assert memory_map(profile().model_copy(update={"arena_bytes": 0, "memory": ()})) == "the model needs no arena"


def test_the_picture_has_a_rectangle_for_each_block_at_its_place(tmp_path: Path) -> None:
    of = report(profile(), profile(model="<other> & more"))
    boxes = [shape for shape in draw(of).shapes if isinstance(shape, Box)]
    assert len(boxes) == 2 * len(MEMORY)
    conv, relu = boxes[2], boxes[4]
    assert (conv.y, conv.height) == (relu.y, relu.height)  # in place
    assert relu.x - conv.x == conv.width / 2
    state = boxes[0]
    assert state.y + state.height == max(box.y + box.height for box in boxes)  # offset 0 is the floor
    assert state.width == max(box.width for box in boxes)
    write_picture(tmp_path / "memory.svg", of)
    tree = ElementTree.fromstring((tmp_path / "memory.svg").read_text())
    hints = [title.text for title in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert hints[:2] == ["kept: 16 bytes at 0", "input x: 32 bytes at 16"]
    assert any("<other> & more" in (text.text or "") for text in tree.iter("{http://www.w3.org/2000/svg}text"))
    assert draw(of) == draw(of)


def test_the_same_picture_as_png(tmp_path: Path) -> None:
    write_picture(tmp_path / "memory.png", report())
    data = (tmp_path / "memory.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    drawing = draw(report())
    assert width == pytest.approx(drawing.width * 1.5, abs=2)
    assert height == pytest.approx(drawing.height * 1.5, abs=2)


@pytest.mark.parametrize("name", ["memory.pdf", "memory", "nowhere/memory.svg"])
def test_a_picture_that_cannot_be_written_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        check_picture_path(tmp_path / name)


def test_a_picture_of_a_model_with_an_odd_name(tmp_path: Path) -> None:
    """What would be mathematics to matplotlib is text."""
    odd = ProfileReport(created_at="now", how="", tools={}, profiles=(profile(model="d$x^{$"),))
    write_picture(tmp_path / "memory.png", odd)
    assert (tmp_path / "memory.png").read_bytes().startswith(b"\x89PNG")


def test_a_png_is_never_wider_than_matplotlib_draws(tmp_path: Path) -> None:
    steps = tuple(step(number, "RELU", 10) for number in range(2_000))
    wide = ProfileReport(created_at="now", how="", tools={}, profiles=(profile(steps),))
    write_picture(tmp_path / "memory.png", wide)
    width, _ = struct.unpack(">II", (tmp_path / "memory.png").read_bytes()[16:24])
    assert 50_000 < width <= 60_000
