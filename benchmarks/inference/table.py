"""The comparison as one table: figures, each peer's as a multiple of ours, and our distance to the goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.inference.rows import FIGURES, Measured, Row

OURS = "flota"
HEADINGS = {
    "instructions": "instructions",
    "cycles_modelled": "cycles, modelled",
    "ram_bytes": "RAM B",
    "flash_bytes": "flash B",
}


def print_table(results: Sequence[Measured], goals: Mapping[str, Mapping[str, int]], console: Console) -> None:
    """Print all rows by model; ``goals`` are the bounds by model name. Notes and refusals follow the table."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("model", "engine"):
        table.add_column(heading, no_wrap=True)
    for figure in FIGURES:
        table.add_column(HEADINGS[figure], justify="right", no_wrap=True)
    table.add_column("same bytes", no_wrap=True)
    for model in dict.fromkeys(result.row.model for result in results):
        rows = [result.row for result in results if result.row.model == model]
        _add_model(table, model, rows, goals.get(model, {}))
    console.print(table)
    for line in _remarks(results):
        console.print(line, markup=False, soft_wrap=True)


def best_peer(rows: Sequence[Row], figure: str) -> int | None:
    """The lowest figure among the peers whose outputs were right; None where there is none."""
    peers = [row.figure(figure) for row in rows if row.engine != OURS and row.identical]
    return min((value for value in peers if value is not None), default=None)


def _add_model(table: Table, model: str, rows: Sequence[Row], goals: Mapping[str, int]) -> None:
    ours = next((row for row in rows if row.engine == OURS and row.refused is None), None)
    for index, row in enumerate(rows):
        cells = [_cell(row, figure, ours) for figure in FIGURES]
        table.add_row(escape(model) if index == 0 else "", row.engine, *cells, _verdict(row), end_section=False)
    if ours is None:
        return
    ratios = [_ratio(best_peer(rows, figure), ours.figure(figure)) for figure in FIGURES]
    if any(ratios):
        table.add_row("", "best peer ÷ flota", *ratios, "")
    if goals:
        table.add_row("", "goal", *[_goal(ours.figure(figure), goals.get(figure)) for figure in FIGURES], "")


def _cell(row: Row, figure: str, ours: Row | None) -> str:
    value = row.figure(figure)
    if value is None:
        return "–"
    ratio = _ratio(value, ours.figure(figure)) if ours is not None and row is not ours else ""
    return f"{value:,} ({ratio})" if ratio else f"{value:,}"


def _ratio(value: int | None, ours: int | None) -> str:
    return "" if value is None or not ours else f"{value / ours:.2f}×"


def _goal(value: int | None, goal: int | None) -> str:
    if value is None or goal is None:
        return "–"
    return f"≤ {goal:,} {'met' if value <= goal else f'missed by {value / goal - 1:.1%}'}"


def _verdict(row: Row) -> str:
    if row.refused is not None:
        return "refused"
    return "yes" if row.identical else "NO"


def _remarks(results: Sequence[Measured]) -> list[str]:
    """Refusals, then notes; engines of which the same is said share a line."""
    said: dict[tuple[str, str], list[str]] = {}
    for result in results:
        if result.row.refused is not None:
            said.setdefault((result.row.model, f"refused: {result.row.refused}"), []).append(result.row.engine)
    for result in results:
        if result.note:
            said.setdefault((result.row.model, result.note), []).append(result.row.engine)
    return [f"{model}, {' and '.join(engines)}: {text}" for (model, text), engines in said.items()]
