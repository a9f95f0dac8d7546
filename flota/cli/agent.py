"""``flota agent``: enrol and run the agent of a device or gateway."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from flota.cli.common import AsJson, print_json

if TYPE_CHECKING:
    from device_agent.status import AgentStatus

app = typer.Typer(help="Enrol and run the agent of a device or gateway.", no_args_is_help=True, add_completion=False)

_Folder = Annotated[Path, typer.Argument(help="The agent's folder.")]
_BoardPort = Annotated[
    str,
    typer.Option("--board-port", help="Serial URL of the microcontroller that is the device."),
]


@app.command("enrol")
def enrol_command(
    server: Annotated[str, typer.Option("--server", help="Address of the fleet server (https).")],
    ca: Annotated[Path, typer.Option("--ca", help="Certificate of the fleet's CA (PEM).")],
    token: Annotated[str, typer.Option("--token", help="The device's one-time enrolment token.")],
    device: Annotated[str, typer.Option("--device", help="The device's name.")],
    folder: Annotated[Path, typer.Option("--dir", help="Folder to make for the agent.")],
    board_port: _BoardPort = "",
    as_json: AsJson = False,
) -> None:
    """Get a certificate for this device and write its folder."""
    from device_agent.enrol import enrol

    config = enrol(server, ca, token, device, folder, board_port=board_port)
    if as_json:
        print_json({"device": device, "dir": str(config.folder), "kind": "mcu" if board_port else "linux"})
    else:
        print(f"{device} is enrolled; run it with: flota agent run {folder}")


@app.command("run")
def run_command(
    folder: _Folder,
    board_port: _BoardPort = "",
    http_port: Annotated[
        int, typer.Option("--http-port", min=0, max=65535, help="Serve inference on this loopback port too.")
    ] = 0,
) -> None:
    """Run the agent until SIGTERM or Ctrl-C; its log goes to standard error."""
    from device_agent.config import load_config
    from device_agent.main import run

    config = load_config(folder)
    changes = {"board_port": board_port, "http_port": http_port}
    settings = config.settings.model_copy(update={key: value for key, value in changes.items() if value})
    run(replace(config, settings=settings))


@app.command("status")
def status_command(folder: _Folder, as_json: AsJson = False) -> None:
    """Say what the device of this folder runs and what its agent is doing; the agent need not run."""
    from device_agent.status import read_status

    status = read_status(folder)
    if as_json:
        print_json(status.document())
    else:
        _print_status(status)


@app.command("unit")
def unit_command() -> None:
    """Print the systemd unit of the agent (a template: flota-agent@.service)."""
    import device_agent

    print((Path(device_agent.__file__).parent / "flota-agent.service").read_text("utf-8"), end="")


def _print_status(status: AgentStatus) -> None:
    table = Table(box=None, show_header=False)
    for name, value in status.document().items():
        table.add_row(name, "" if value is None else str(value))
    Console().print(table)
