"""``flota bench``: measure a bundle, or a bare ``.tflite`` file, on a board; check every output; save a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from flota.cli.common import AsJson, WorkspaceFolder
from flota.workspace import DEFAULT_WORKSPACE

_Progress: TypeAlias = Callable[[int, int], None]


def command(
    name: Annotated[str, typer.Argument(help="A model of the workspace, or a .flota or .tflite file.")],
    board: Annotated[
        str, typer.Option("--board", help="Board to bench on; see `flota board list`.")
    ] = "qemu-mps2-an386",
    version: Annotated[str | None, typer.Option("--version", help="Model version; the newest when not given.")] = None,
    inferences: Annotated[int, typer.Option("--inferences", "-n", min=1, help="Inferences to measure.")] = 100,
    warmup: Annotated[int, typer.Option("--warmup", min=0, help="Inferences before those; checked, not measured.")] = 3,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="Bench this file, not the workspace's bundle.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the random inputs of a .tflite file.")] = 1,
    compare: Annotated[Path | None, typer.Option("--compare", help="Set an earlier report beside this one.")] = None,
    workspace: WorkspaceFolder = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Measure a model on a board: instructions or milliseconds, flash, RAM, arena, stack; check every output.

    Exit code 1 when an output differs from what it must be; the report is saved all the same.
    """
    from flota.boardlink.geometry import find_geometry
    from hil.bench import report as reports
    from hil.bench.api import BenchRequest, bench
    from hil.bench.render import render_changes, render_report
    from optimize.compiler import compile_tflite

    earlier = reports.read_report(compare) if compare is not None else None
    request = BenchRequest(name, workspace, board, bundle, version, inferences, warmup, seed)
    with _watch() as watch:
        report = bench(
            request,
            compile_model=lambda model, name: compile_tflite(model, name=name, core=find_geometry(board).compiler.core),
            watch=watch,
        )
    changes = reports.compare(earlier, report) if earlier is not None else ()
    path = reports.write_report(workspace / "reports", report)
    if as_json:
        print(report.model_dump_json(indent=1))
    else:
        console = Console(highlight=False)
        console.print(render_report(report))
        if changes:
            console.print(render_changes(changes))
        console.print(f"report: {path}", markup=False, soft_wrap=True)
    reports.require_right_outputs(report)


@contextmanager
def _watch() -> Iterator[Callable[[str], _Progress]]:
    """A progress line on standard error for each stage; nothing is drawn where that is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:

        def begin(stage: str) -> _Progress:
            task = bars.add_task(stage, total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        yield begin
