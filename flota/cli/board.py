"""``flota board``: list the boards; keep an emulated one running for a gateway agent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from flota.cli.common import AsJson, WorkspaceFolder, print_json
from flota.workspace import DEFAULT_WORKSPACE

app = typer.Typer(help="List the boards; keep an emulated one running.", no_args_is_help=True, add_completion=False)


@app.command("list")
def list_boards(
    as_json: AsJson = False,
) -> None:
    """List the boards a bench can use."""
    from hil.boards import BOARDS

    rows = [
        {"name": board.name, "emulated": board.emulated, "targets": list(board.targets), "summary": board.summary}
        for board in BOARDS.values()
    ]
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, header_style="bold")
    for column in ("board", "emulated", "targets", "what it is"):
        table.add_column(column, overflow="fold")
    for board in BOARDS.values():
        table.add_row(board.name, "yes" if board.emulated else "no", ", ".join(board.targets), board.summary)
    Console().print(table)


@app.command("run")
def run_board(
    flash: Annotated[Path, typer.Option("--flash", help="File that holds the board's flash; made when missing.")],
    board: Annotated[str, typer.Option("--board", help="Which emulated board.")] = "qemu-mps2-an386",
    provision: Annotated[
        Path | None, typer.Option("--provision", help="Write this Ed25519 public key (PEM) into a new board's flash.")
    ] = None,
    port_file: Annotated[
        Path | None, typer.Option("--port-file", help="Write the serial line's URL here once the board runs.")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Loopback TCP port; 0: a free one.")] = 0,
    firmware: Annotated[
        Path | None, typer.Option("--firmware", help="Base firmware (ELF); built from source when not given.")
    ] = None,
    workspace: WorkspaceFolder = DEFAULT_WORKSPACE,
) -> None:
    """Run an emulated microcontroller in the foreground until SIGTERM or Ctrl-C.

    The first line on standard output is the pyserial URL of its serial line; it stays the same over resets.
    """
    from flota.toolchain import build_firmware
    from hil.boards import QemuBoard, find_board
    from hil.boards.provision import provision_flash, read_public_key
    from hil.boards.service import keep_running, stop_on_signals

    find_board(board)
    public_key = read_public_key(provision) if provision is not None else None
    elf = firmware or build_firmware(board, workspace / "firmware" / board).elf
    emulated = QemuBoard(board, flash=flash, firmware_elf=elf, tcp_port=port)
    try:
        if public_key is not None:
            provision_flash(emulated, public_key)
        stop = stop_on_signals()
        emulated.start()
        print(emulated.port, flush=True)
        keep_running(emulated, stop, port_file=port_file)
    finally:
        emulated.close()
