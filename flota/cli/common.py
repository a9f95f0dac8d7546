"""What the commands have in common: their shared options, and how they print data."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
WorkspaceFolder = Annotated[
    Path,
    typer.Option("--workspace", envvar="FLOTA_WORKSPACE", help="Folder of trained models, bundles, reports, firmware."),
]


def print_json(document: object) -> None:
    """Print a document that ``json`` can write, indented."""
    print(json.dumps(document, indent=1))


def local_time(at: float) -> str:
    """UTC seconds as the date and time of this machine's zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
