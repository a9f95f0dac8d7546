"""Profiles as rich tables and text; the command line prints them."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hil.profile.memory_map import letters, memory_map
from hil.profile.report import MemoryRow, Pair, Profile, ProfileReport, pair_steps

_WIDEST_MAP = 160  # steps; wider maps are for the picture


def render_report(report: ProfileReport) -> RenderableType:
    """Everything in a report: the operators of each model, both side by side where there are two, the memory."""
    parts: list[RenderableType] = []
    for profile in report.profiles:
        parts += [_heading(profile), _steps_table(profile), Text()]
    if len(report.profiles) == 2:
        parts += [_pairs_table(*report.profiles), Text()]
    for profile in report.profiles:
        parts += [*_memory(profile), Text()]
    return Group(*parts, Text(report.how, style="dim"))


def _heading(profile: Profile) -> Text:
    equal = "equal to" if profile.identical else "DIFFERENT FROM"
    text = Text(f"{profile.model} ({profile.file}) on {profile.board}, kernels for {profile.core}", style="bold")
    sizes = (
        f"\nRAM {profile.ram_bytes:,} B (arena {profile.arena_bytes:,}, stack {profile.stack_bytes:,}), "
        f"flash {profile.flash_bytes:,} B (constants {profile.weight_bytes:,}); outputs {equal} TFLM's"
    )
    return text.append(sizes, style="not bold" if profile.identical else "bold red")


def _steps_table(profile: Profile) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("#", justify="right")
    table.add_column("operator", no_wrap=True)
    table.add_column("kernel", no_wrap=True)
    modelled = profile.cycles_modelled is not None
    columns = ["instructions", *(["cycles, modelled"] if modelled else []), "share", "MACs"]
    columns += [*(["cycles/MAC"] if modelled else []), "constants B", "scratch B"]
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for step in profile.steps:
        cells = [str(step.position), step.operator, step.kernel]
        cost = (step.instructions, step.cycles_modelled, step.share)
        table.add_row(*cells, *_figures(*cost, step.macs, step.weight_bytes, step.scratch_bytes))
    table.add_row("", "everything else", "", *_figures(*_rest(profile), 0, 0, 0))
    whole = (profile.instructions, profile.cycles_modelled, 1.0, profile.macs, profile.weight_bytes)
    scratch = max((step.scratch_bytes for step in profile.steps), default=0)
    table.add_row("", "whole inference", "", *_figures(*whole, scratch), style="bold")
    return table


def _rest(profile: Profile) -> tuple[int, int | None, float]:
    """What runs outside the operators: the call and the return of ``invoke``."""
    instructions = profile.instructions - sum(step.instructions for step in profile.steps)
    cycles = None
    if profile.cycles_modelled is not None:
        cycles = profile.cycles_modelled - sum(step.cycles_modelled or 0 for step in profile.steps)
    return instructions, cycles, 1.0 - sum(step.share for step in profile.steps)


def _figures(
    instructions: int, cycles: int | None, share: float, macs: int, weights: int, scratch: int
) -> Iterator[str]:
    yield f"{instructions:,}"
    if cycles is not None:
        yield f"{cycles:,}"
    yield f"{abs(share):.1%}"
    yield _or_blank(macs)
    if cycles is not None:
        yield f"{cycles / macs:.2f}" if macs else ""
    yield _or_blank(weights)
    yield _or_blank(scratch)


def _or_blank(value: int) -> str:
    return f"{value:,}" if value else ""


def _pairs_table(first: Profile, second: Profile) -> Table:
    modelled = first.cycles_modelled is not None
    unit = "cycles, modelled" if modelled else "instructions"
    table = Table(box=None, header_style="bold", title=f"side by side, {unit}", title_justify="left")
    table.add_column("#", justify="right")
    table.add_column("operator", no_wrap=True)
    for profile in (first, second):
        table.add_column("kernel", no_wrap=True)
        table.add_column(f"{profile.model}, {profile.core}", justify="right")
    table.add_column("second / first", justify="right", no_wrap=True)
    for pair in pair_steps(first, second):
        table.add_row(*_pair_cells(pair))
    table.add_row("", "whole inference", "", f"{first.cost:,}", "", f"{second.cost:,}", _ratio(first.cost, second.cost))
    for label, one, other in (
        ("RAM B", first.ram_bytes, second.ram_bytes),
        ("flash B", first.flash_bytes, second.flash_bytes),
    ):
        table.add_row("", label, "", f"{one:,}", "", f"{other:,}", _ratio(one, other))
    return table


def _pair_cells(pair: Pair) -> Iterator[str]:
    named = pair.first or pair.second
    yield str(named.position) if named else ""
    yield named.operator if named else ""
    for step in (pair.first, pair.second):
        yield step.kernel if step else "-"
        yield f"{step.cost:,}" if step else "-"
    yield _ratio(pair.first.cost, pair.second.cost) if pair.first and pair.second else "-"


def _ratio(first: int, second: int) -> str:
    return f"{second / first:.3f}" if first else "-"


def _memory(profile: Profile) -> Iterator[RenderableType]:
    yield Text(f"memory of {profile.model}, {profile.core}: arena of {profile.arena_bytes:,} bytes", style="bold")
    if len(profile.steps) <= _WIDEST_MAP:
        yield Text(memory_map(profile))
    table = Table(box=None, header_style="bold")
    table.add_column("", no_wrap=True)
    for column in ("from", "to", "bytes", "live"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("what")
    named = letters(profile)
    for index, row in enumerate(profile.memory):
        live = f"{_when(profile, row.first)} to {_when(profile, row.last)}"
        table.add_row(named[index], f"{row.offset:,}", f"{row.end:,}", f"{row.bytes:,}", live, _what(row))
    yield table


def _what(row: MemoryRow) -> Text:
    return Text(f"state {row.label}" if row.kind == "state" else row.label)


def _when(profile: Profile, step: int) -> str:
    if step < 0:
        return "start"
    return "end" if step >= len(profile.steps) else str(profile.steps[step].position)
