"""The arena over time as a picture: a rectangle for each thing, from its first step to its last, at its offset.

The drawing is a list of shapes. SVG needs nothing but text; for PNG matplotlib draws the same shapes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from flota.errors import MissingExtra, UsageError
from flota.files import write_atomic
from hil.profile.report import MemoryRow, Profile, ProfileReport

_COLUMN, _PLOT_HEIGHT = 34.0, 360.0
_LEFT, _TOP, _BOTTOM, _RIGHT = 86.0, 40.0, 150.0, 20.0
_LETTER = 5.6  # width of a letter of the labels
_LINES = 5
_POINTS = 0.72  # a pixel of 1/100 inch, in points
_COLOURS = {"tensor": ("#4c86d9", "#7aa7e6"), "scratch": ("#d9861b", "#e5a655"), "state": ("#0b8f69", "#3fae8d")}
_INK, _FAINT = "#333333", "#cccccc"
_DPI = 150
_MOST_DOTS = 60_000  # of a side; matplotlib refuses 65,536 and more
_SUFFIXES = (".svg", ".png")


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; ``hint`` is what a viewer shows when it is pointed at."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    hint: str


@dataclass(frozen=True, slots=True)
class Line:
    """A thin line."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class Label:
    """Text: where it begins (``start``), ends (``end``) or has its middle; turned clockwise by ``turn`` degrees."""

    x: float
    y: float
    text: str
    size: float = 10.0
    anchor: str = "start"
    turn: float = 0.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """Shapes on a page, y downwards, in pixels."""

    width: float
    height: float
    shapes: tuple[Box | Line | Label, ...]


def check_picture_path(path: Path) -> None:
    """Refuse a file that no picture can be written to, before anything is measured.

    Raises:
        UsageError: Another suffix than ``.svg`` and ``.png``, or no such folder.
    """
    if path.suffix not in _SUFFIXES:
        raise UsageError(f"{path.name}: a picture is an .svg or a .png file", hint="name it memory.svg, for example")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}", hint="make the folder first")


def write_picture(path: Path, report: ProfileReport) -> None:
    """Draw the memory of all profiles of a report, side by side at one scale.

    Raises:
        UsageError: As :func:`check_picture_path`.
        MissingExtra: A PNG is wanted and matplotlib is not installed.
        StorageError: The file cannot be written.
    """
    check_picture_path(path)
    drawing = draw(report)
    write_atomic(path, _svg(drawing).encode() if path.suffix == ".svg" else _png(drawing))


def draw(report: ProfileReport) -> Drawing:
    """The picture as shapes."""
    most = max(max(profile.arena_bytes, 1) for profile in report.profiles)
    shapes: list[Box | Line | Label] = []
    left = 0.0
    for profile in report.profiles:
        shapes += _panel(profile, left, most)
        left += _width(profile)
    return Drawing(left, _TOP + _PLOT_HEIGHT + _BOTTOM, tuple(shapes))


def _width(profile: Profile) -> float:
    title = _LETTER * 1.25 * len(_title(profile))
    return _LEFT + max(_COLUMN * (len(profile.steps) + 2), title - _LEFT) + _RIGHT


def _title(profile: Profile) -> str:
    return f"{profile.model}, {profile.core}: arena of {profile.arena_bytes:,} bytes"


def _panel(profile: Profile, left: float, most: int) -> Iterator[Box | Line | Label]:
    scale = _PLOT_HEIGHT / most
    start, floor = left + _LEFT, _TOP + _PLOT_HEIGHT
    end = start + _COLUMN * (len(profile.steps) + 2)
    yield Label(left + 10, 20, _title(profile), 12.0)
    for number in range(_LINES + 1):
        value = profile.arena_bytes * number // _LINES
        y = floor - value * scale
        yield Line(start, y, end, y)
        yield Label(start - 6, y + 3, f"{value:,}", 10.0, "end")
    for row in profile.memory:
        yield from _row(row, start, floor, scale)
    names = ["inputs", *(f"{step.position} {step.operator}" for step in profile.steps), "outputs"]
    for number, name in enumerate(names):
        yield Label(start + (number + 0.4) * _COLUMN, floor + 12, name, 10.0, "start", 60.0)


def _row(row: MemoryRow, start: float, floor: float, scale: float) -> Iterator[Box | Label]:
    x, width = start + (row.first + 1) * _COLUMN, (row.last - row.first + 1) * _COLUMN
    y, height = floor - row.end * scale, max(row.bytes * scale, 1.0)
    colour = _COLOURS[row.kind][row.first % 2]
    yield Box(x, y, width, height, colour, f"{row.label}: {row.bytes:,} bytes at {row.offset:,}")
    room = int((width - 4) / _LETTER)
    if height >= 12 and room >= 4:
        text = f"{row.bytes:,} B" if len(row.label) + 2 > room else row.label
        yield Label(x + 3, y + 11, text[:room], 9.0)


def _svg(drawing: Drawing) -> str:
    size = f'width="{drawing.width:.0f}" height="{drawing.height:.0f}"'
    box = f'viewBox="0 0 {drawing.width:.0f} {drawing.height:.0f}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} font-family="sans-serif">',
        '<rect width="100%" height="100%" fill="white"/>',
        *map(_svg_shape, drawing.shapes),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _svg_shape(shape: Box | Line | Label) -> str:
    if isinstance(shape, Line):
        place = f'x1="{shape.x1:.1f}" y1="{shape.y1:.1f}" x2="{shape.x2:.1f}" y2="{shape.y2:.1f}"'
        return f'<line {place} stroke="{_FAINT}"/>'
    if isinstance(shape, Box):
        place = f'x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" height="{shape.height:.1f}"'
        look = f'fill="{shape.colour}" fill-opacity="0.75" stroke="{_INK}" stroke-width="0.6"'
        return f"<rect {place} {look}><title>{escape(shape.hint)}</title></rect>"
    turned = f' transform="rotate({shape.turn:.0f} {shape.x:.1f} {shape.y:.1f})"' if shape.turn else ""
    place = f'x="{shape.x:.1f}" y="{shape.y:.1f}" font-size="{shape.size:g}" text-anchor="{shape.anchor}"{turned}'
    return f'<text {place} fill="{_INK}">{escape(shape.text)}</text>'


def _png(drawing: Drawing) -> bytes:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtra("a PNG needs matplotlib", hint="pip install 'flota[hil]', or name an .svg") from error
    figure = Figure(
        figsize=(drawing.width / 100, drawing.height / 100),
        dpi=min(_DPI, _MOST_DOTS * 100 / max(drawing.width, drawing.height)),
    )
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), frameon=False)
    axes.set_axis_off()
    axes.set_xlim(0, drawing.width)
    axes.set_ylim(drawing.height, 0)
    for shape in drawing.shapes:
        _png_shape(axes, shape)
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def _png_shape(axes: Any, shape: Box | Line | Label) -> None:
    """``axes`` are matplotlib's, whose types depend on its version."""
    if isinstance(shape, Line):
        axes.plot([shape.x1, shape.x2], [shape.y1, shape.y2], color=_FAINT, linewidth=0.6, zorder=0)
    elif isinstance(shape, Box):
        ys = [shape.y, shape.y, shape.y + shape.height, shape.y + shape.height]
        xs = [shape.x, shape.x + shape.width, shape.x + shape.width, shape.x]
        axes.fill(xs, ys, facecolor=shape.colour, edgecolor=_INK, alpha=0.75, linewidth=0.5)
    else:
        side = {"start": "left", "end": "right"}.get(shape.anchor, "center")
        turn = {"rotation": -shape.turn, "rotation_mode": "anchor"}
        axes.text(
            shape.x,
            shape.y,
            shape.text,
            fontsize=shape.size * _POINTS,
            ha=side,
            va="baseline",
            color=_INK,
            **turn,
            parse_math=False,
        )
