"""Bench reports as rich tables; the command line prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hil.bench.report import LABELS, BenchReport, Change, Figure, Source


def render_report(report: BenchReport) -> RenderableType:
    """Everything in a report that a reader wants first: what, where, the figures with their sources, the outputs."""
    subject = report.subject
    title = Text(f"{subject.model} {subject.version} ({subject.target}) on {report.board.name}", style="bold")
    board = Text(f"{report.board.description}{' (emulated)' if report.board.emulated else ''}")
    runs = Text(
        f"{report.inferences} inferences after {report.warmup} of warm-up; {subject.kind} {subject.sha256[:16]}…"
    )
    sources = _sources(report)
    notes = [Text(f"  [{note}] {source.kind}, {source.where}: {source.how}") for source, note in sources.items()]
    return Group(title, board, runs, _figures_table(report, sources), *notes, _outputs_line(report))


def render_changes(changes: Sequence[Change]) -> Table:
    """Figures of two reports side by side."""
    table = Table(box=None, header_style="bold")
    table.add_column("compared with the earlier report")
    for column in ("earlier", "now", "now / earlier"):
        table.add_column(column, justify="right")
    for change in changes:
        ratio = "-" if change.ratio is None else f"{change.ratio:.3f}"
        table.add_row(
            LABELS.get(change.name, change.name),
            number(change.old, change.unit),
            number(change.new, change.unit),
            ratio,
        )
    return table


def number(value: float, unit: str) -> str:
    """A figure for people: milliseconds with four digits, counts and bytes whole with separators."""
    return f"{value:.4g} ms" if unit == "ms" else f"{value:,.0f}{' B' if unit == 'bytes' else ''}"


def _sources(report: BenchReport) -> dict[Source, int]:
    """Every source once, numbered in the order of the figures."""
    numbered: dict[Source, int] = {}
    for figure in report.figures.values():
        numbered.setdefault(figure.source, len(numbered) + 1)
    return numbered


def _figures_table(report: BenchReport, sources: Mapping[Source, int]) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("figure", overflow="fold")
    for column in ("median", "min", "p95", "max"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("source", no_wrap=True)
    for name, figure in report.figures.items():
        spread = [_optional(figure, reading) for reading in (figure.minimum, figure.p95, figure.maximum)]
        note = f"{figure.source.kind} \\[{sources[figure.source]}]"
        table.add_row(LABELS.get(name, name), number(figure.value, figure.unit), *spread, note)
    return table


def _optional(figure: Figure, reading: float | None) -> str:
    return "" if reading is None else number(reading, figure.unit)


def _outputs_line(report: BenchReport) -> Text:
    check = report.outputs
    text = f"outputs: {check.equal} of {check.checked} equal ({check.reference})"
    if check.passed:
        return Text(text, style="green")
    return Text(f"{text}\nfirst difference: {check.first_difference}", style="bold red")
