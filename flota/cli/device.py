"""``flota device``: register, list, look at, revoke and ask devices."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from flota.cli.common import AsJson, local_time, print_json
from flota.errors import UsageError

app = typer.Typer(
    name="device",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Register, list, look at, revoke and ask devices.",
)

Name = Annotated[str, typer.Argument(help="The device's name.")]

_TARGETS = {"linux": "linux-litert", "mcu": "cortex-m4f-aot"}


@app.command()
def add(
    name: Name,
    kind: Annotated[str, typer.Option(help="linux, or mcu (a microcontroller behind a gateway).")] = "linux",
    target: Annotated[str, typer.Option(help="What its models are compiled for; default: by kind.")] = "",
    board: Annotated[str, typer.Option(help="Its board, such as qemu-mps2-an386.")] = "",
    group: Annotated[str, typer.Option(help="The group it belongs to.")] = "default",
    as_json: AsJson = False,
) -> None:
    """Register a device and print its one-time enrolment token."""
    from pydantic import ValidationError

    from flota.api import FleetClient
    from flota.api.models import NewDevice

    if kind not in _TARGETS:
        raise UsageError(f"there is no kind {kind}", hint=f"use {' or '.join(_TARGETS)}")
    values = {"name": name, "kind": kind, "target": target or _TARGETS[kind], "board": board, "group": group}
    try:
        device = NewDevice.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from error
    with FleetClient.from_session() as client:
        token = client.add_device(device)
    if as_json:
        print_json(token.model_dump(mode="json"))
        return
    print(f"enrolment token of {token.device}, good once, until {local_time(token.expires_at)}:")
    print(token.token)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the devices."""
    from flota.api import FleetClient

    with FleetClient.from_session() as client:
        devices = client.devices()
    if as_json:
        print_json([device.model_dump(mode="json") for device in devices])
        return
    table = Table("device", "kind", "target", "group", "status", "online", "runs", "wants", "phase", box=None)
    for device in devices:
        table.add_row(
            device.name,
            device.kind.value,
            device.target,
            device.group,
            device.status,
            "yes" if device.online else "no",
            f"{device.running_model} {device.running_version}".strip() or "–",
            f"{device.desired_model} {device.desired_version}".strip() or "–",
            device.phase or "–",
        )
    Console().print(table)


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show one device and what it reported last."""
    from flota.api import FleetClient

    with FleetClient.from_session() as client:
        device = client.device(name)
    document = device.model_dump(mode="json")
    if as_json:
        print_json(document)
        return
    reported = document.pop("reported")
    table = Table(box=None, show_header=False)
    for key, value in [*document.items(), *((f"reported {key}", value) for key, value in (reported or {}).items())]:
        table.add_row(key.replace("_", " "), "–" if value in (None, "") else str(value))
    Console().print(table)


@app.command()
def revoke(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Refuse a device's certificate from now on."""
    from flota.api import FleetClient

    if not yes:
        typer.confirm(f"revoke {name}? It can come back only by enrolling again", abort=True, err=True)
    with FleetClient.from_session() as client:
        device = client.revoke_device(name)
    if as_json:
        print_json(device.model_dump(mode="json"))
    else:
        print(f"{name} is revoked")


@app.command()
def history(name: Name, as_json: AsJson = False) -> None:
    """Show what really ran on a device, in order."""
    from flota.api import FleetClient

    with FleetClient.from_session() as client:
        ran = client.history(name)
    if as_json:
        print_json([entry.model_dump(mode="json") for entry in ran])
        return
    table = Table("since", "model", "version", "reason", box=None, header_style="bold")
    for entry in ran:
        table.add_row(local_time(entry.at), entry.model, entry.version, entry.reason)
    Console().print(table)


@app.command()
def command(
    name: Name,
    ask: Annotated[str, typer.Argument(help="ping, status, self-test, bench or log.")],
    timeout_s: Annotated[float, typer.Option(min=0.1, max=120, help="Seconds to wait for the answer.")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Ask a device for a diagnostic and print its answer."""
    from pydantic import ValidationError

    from flota.api import FleetClient
    from flota.api.models import CommandRequest

    try:
        request = CommandRequest.model_validate({"name": ask, "timeout_s": timeout_s})
    except ValidationError as error:
        raise UsageError(f"there is no command {ask}", hint="use ping, status, self-test, bench or log") from error
    with FleetClient.from_session() as client:
        reply = client.command(name, request)
    if as_json:
        print_json(reply.model_dump(mode="json"))
    else:
        print("ok" if reply.ok else f"failed: {reply.code}")
        for key, value in reply.values.items():
            print(f"{key}: {value}")
    if not reply.ok:
        raise typer.Exit(1)
