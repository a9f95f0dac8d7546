"""``flota profile``: what each operator of a model takes on a board, and what lies where in its memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flota.cli.common import AsJson, WorkspaceFolder
from flota.workspace import DEFAULT_WORKSPACE

_NARROWEST = 132  # columns of the tables; a pipe has no width of its own


def command(
    name: Annotated[
        str, typer.Argument(help="A model of the workspace (NAME or NAME@VERSION), a .tflite or a bundle.")
    ],
    board: Annotated[
        str, typer.Option("--board", help="Emulated board to run it on; see `flota board list`.")
    ] = "qemu-mps2-an386",
    core: Annotated[
        str | None, typer.Option("--core", help="Whose kernels to use: portable, cortex-m4, …; default: the board's.")
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", help="Profile this model, too, and set both side by side.")
    ] = None,
    against_core: Annotated[
        str | None, typer.Option("--against-core", help="Whose kernels that one uses; without --against: NAME again.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Draw the memory over time into this .svg or .png file.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the random input.")] = 1,
    workspace: WorkspaceFolder = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Run one inference and show each operator's instructions, modelled cycles and bytes, and the memory over time.

    Exit code 1 when the output is not that of the TensorFlow Lite Micro interpreter, byte for byte.
    """
    from hil.errors import WrongOutput
    from hil.profile import ProfileRequest, profile
    from hil.profile.picture import check_picture_path, write_picture
    from hil.profile.render import render_report
    from optimize.compiler import compile_tflite

    if picture is not None:
        check_picture_path(picture)
    beside = name if against is None and against_core is not None else against
    request = ProfileRequest(name, workspace, board, core, beside, against_core, seed)
    errors = Console(stderr=True)
    with errors.status("profile") as status:
        report = profile(
            request,
            compile_model=lambda model, model_name, its_core: compile_tflite(model, name=model_name, core=its_core),
            watch=lambda stage: status.update(stage),
        )
    if picture is not None:
        write_picture(picture, report)
    if as_json:
        print(report.model_dump_json(indent=1))
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = max(console.width, _NARROWEST)
        console.print(render_report(report))
    wrong = [one.model for one in report.profiles if not one.identical]
    if wrong:
        raise WrongOutput(
            f"{', '.join(wrong)}: another output than TFLM's", hint="report this with the model; do not release it"
        )
