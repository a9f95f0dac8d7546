"""``flota train``: train a model of the zoo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from flota.cli.common import AsJson, WorkspaceFolder, print_json
from flota.workspace import DEFAULT_WORKSPACE

if TYPE_CHECKING:
    from flota.workspace import Epoch, TrainingRecord


def command(
    name: Annotated[str, typer.Argument(help="A model of the zoo, such as motion.")],
    version: Annotated[str | None, typer.Option(help="A version of its recipe; default: the recipe's own.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**31 - 1, help="Replaces the recipe's seed.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Replaces the recipe's number of epochs.")] = None,
    workspace: WorkspaceFolder = DEFAULT_WORKSPACE,
    force: Annotated[bool, typer.Option("--force", help="Train even when this recipe is trained already.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a model of the zoo from its recipe; the same seed gives the same weights."""
    import models

    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[values]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task(f"train {name}", total=None, values="loading TensorFlow")

        def show(epoch: int, total: int, values: Epoch) -> None:
            text = f"loss {values.loss:.3f}  validation {values.validation_accuracy:.1%}"
            bar.update(task, completed=epoch, total=total, values=text)

        result = models.train(name, version, workspace, seed=seed, epochs=epochs, force=force, progress=show)
    _render(result.record, result.folder, result.cached, as_json)


def _render(record: TrainingRecord, folder: Path, cached: bool, as_json: bool) -> None:
    test = record.test
    if as_json:
        document = record.model_dump(mode="json") | {"folder": str(folder), "cached": cached}
        print_json(document)
        return
    console = Console(highlight=False)
    state = "already trained from this recipe" if cached else f"trained in {record.seconds:.1f} s"
    console.print(f"[bold]{record.model} {record.version}[/] {state}: {record.description}", soft_wrap=True)
    console.print(
        f"test accuracy {test.accuracy:.1%} ({test.correct} of {test.count}; "
        f"95 % interval {test.low:.1%} to {test.high:.1%}), {record.parameters} parameters, seed {record.seed}",
        soft_wrap=True,
    )
    console.print(f"saved in {folder}", soft_wrap=True, markup=False)
