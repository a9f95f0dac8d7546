"""``flota optimize``: from a trained model to its bundles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from flota.cli.common import AsJson, WorkspaceFolder, print_json
from flota.workspace import DEFAULT_WORKSPACE

if TYPE_CHECKING:
    from flota.workspace import EvaluationRecord, TestResult


def command(
    name: Annotated[str, typer.Argument(help="A trained model of the zoo, such as motion.")],
    version: Annotated[str | None, typer.Option(help="Which version; default: the recipe's own.")] = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", help="Make only this target's bundle, such as cortex-m55-aot; may be given again."),
    ] = None,
    max_accuracy_loss: Annotated[
        float | None, typer.Option(min=0, max=1, help="Accuracy that int8 may lose; replaces the recipe's gate.")
    ] = None,
    workspace: WorkspaceFolder = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Quantize a trained model to int8, evaluate it on real runtimes, hold it to its gates and write its bundles."""
    import models
    from optimize import pipeline

    chosen, _ = models.load_recipe(name).version(version)
    console = Console(stderr=True)
    with console.status(f"optimize {name} {chosen}: loading") as status:
        result = pipeline.run(
            name,
            chosen,
            workspace,
            targets=target or pipeline.DEFAULT_TARGETS,
            max_accuracy_loss=max_accuracy_loss,
            progress=lambda step: status.update(f"optimize {name} {chosen}: {step}"),
        )
    if as_json:
        document = result.evaluation.model_dump(mode="json")
        print_json(document | {"bundles": [str(path) for path in result.bundles]})
    else:
        _render(result.evaluation, result.bundles[0].parent)


def _render(evaluation: EvaluationRecord, folder: Path) -> None:
    console = Console(highlight=False)
    console.print(_accuracies(evaluation))
    console.print(_targets(evaluation))
    console.print(f"bundles in {folder}", soft_wrap=True, markup=False)


def _accuracies(evaluation: EvaluationRecord) -> Table:
    table = Table(
        title=f"{evaluation.model} {evaluation.version}: {evaluation.macs:,} multiply-accumulates per inference",
        caption="latency: median on this machine, one thread, called from Python",
    )
    for column in ("network", "runs on", "accuracy", "95 % interval", "bytes", "latency"):
        table.add_column(column, justify="left" if column in ("network", "runs on") else "right")
    latency = evaluation.latency
    table.add_row("float32", "TensorFlow", *_share(evaluation.float_result), f"{evaluation.float_bytes:,}", "")
    for runs_on, result, micros in (
        ("LiteRT", evaluation.litert, latency.litert_us),
        ("TFLM", evaluation.tflm, latency.tflm_us),
    ):
        table.add_row("int8", runs_on, *_share(result), f"{evaluation.int8_bytes:,}", f"{micros:,.1f} µs")
    return table


def _share(result: TestResult) -> tuple[str, str]:
    return f"{result.accuracy:.1%}", f"{result.low:.1%} to {result.high:.1%}"


def _targets(evaluation: EvaluationRecord) -> Table:
    table = Table(title="bundles")
    for column in ("target", "bundle bytes", "model flash bytes", "arena bytes", "accuracy"):
        table.add_column(column, justify="left" if column == "target" else "right")
    for target in evaluation.targets:
        needs = target.requires
        arena = f"{needs.arena_bytes:,}" if needs.arena_bytes else "–"
        table.add_row(
            target.target, f"{target.size_bytes:,}", f"{needs.flash_bytes:,}", arena, f"{target.accuracy:.1%}"
        )
    return table
