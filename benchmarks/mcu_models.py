"""All models on the emulated board: instructions, flash, RAM, arena, stack; every output checked.

    python benchmarks/mcu_models.py [--json] [--inferences N] [--workspace DIR] [MODEL …]

Models: the zoo's (``motion``, ``vowels``, ``digits``), as bundles of the workspace (``flota train`` and ``flota
optimize`` make them), and MLPerf Tiny's (``kws``, ``ad``, ``ic``, ``vww``) from the folder FLOTA_MLPERF_TINY. A model
that is not there is named as missing, not left out silently. Exit code 1 when an output was wrong or a model missing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flota.boardlink.geometry import find_geometry
from flota.errors import FlotaError
from hil.bench.api import BenchRequest, bench
from hil.bench.render import number
from hil.bench.report import LABELS, BenchReport
from optimize.compiler import CompiledModel, compile_tflite

BOARD = "qemu-mps2-an386"
REPOSITORY = Path(__file__).resolve().parent.parent
ZOO = ("motion", "vowels", "digits")
MLPERF_TINY = ("kws", "ad", "ic", "vww")
TABLE_COLUMNS = 110
"""What the table needs on a terminal."""

COLUMNS = ("instructions", "cycles", "flash_model", "ram_static", "arena", "stack")


@dataclass(frozen=True, slots=True)
class Row:
    """One model: its report, or why there is none."""

    model: str
    report: BenchReport | None
    missing: str = ""


def main(arguments: list[str]) -> int:
    """Measure and print; the exit code."""
    options = _parse(arguments)
    rows = [_measure(model, options) for model in options.models or (*ZOO, *MLPERF_TINY)]
    if options.json:
        print(json.dumps([_as_json(row) for row in rows], indent=1))
    else:
        _print_table(rows)
    return 0 if all(row.report is not None and row.report.outputs.passed for row in rows) else 1


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--inferences", type=int, default=10, help="inferences per model (default 10)")
    parser.add_argument("--workspace", type=Path, default=Path(os.environ.get("FLOTA_WORKSPACE", ".flota")))
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.models) - {*ZOO, *MLPERF_TINY})
    if unknown or options.inferences < 1:
        parser.error(f"unknown model {', '.join(unknown)}" if unknown else "at least one inference is needed")
    return options


def _measure(model: str, options: argparse.Namespace) -> Row:
    folder = Path(os.environ.get("FLOTA_MLPERF_TINY", REPOSITORY.parent / "shared" / "data" / "mlperf_tiny"))
    file = folder / f"{model}_int8.tflite" if model in MLPERF_TINY else None
    request = BenchRequest(model, options.workspace, file=file, board=BOARD, inferences=options.inferences, warmup=1)
    print(f"{model} …", file=sys.stderr, flush=True)
    try:
        return Row(model, bench(request, compile_model=_compile))
    except FlotaError as error:
        return Row(model, None, f"{error.message} ({error.hint})")


def _compile(model: bytes, name: str) -> CompiledModel:
    return compile_tflite(model, name=name, core=find_geometry(BOARD).compiler.core)


def _as_json(row: Row) -> dict[str, object]:
    if row.report is None:
        return {"model": row.model, "missing": row.missing}
    return {"model": row.model, "report": row.report.model_dump(mode="json")}


def _print_table(rows: list[Row]) -> None:
    table = Table(box=None, header_style="bold")
    table.add_column("model")
    for column in COLUMNS:
        table.add_column(LABELS[column], justify="right", no_wrap=True)
    table.add_column("equal", no_wrap=True)
    for row in rows:
        if row.report is None:
            continue
        figures = [row.report.figures[column] for column in COLUMNS]
        outputs = f"{row.report.outputs.equal} of {row.report.outputs.checked}"
        table.add_row(row.model, *[number(figure.value, figure.unit) for figure in figures], outputs)
    console = Console(highlight=False, width=max(TABLE_COLUMNS, shutil.get_terminal_size().columns))
    console.print(table)
    for row in rows:
        if row.report is None:
            console.print(f"{row.model}: {row.missing}", markup=False, soft_wrap=True)
    measured = next((row.report for row in rows if row.report is not None), None)
    if measured is not None:
        console.print(
            f"{measured.board.description}; instructions are counted, cycles modelled; no time is implied",
            soft_wrap=True,
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
