"""``flota rollout``: create, watch, pause, resume and abort rollouts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from flota.cli.common import AsJson, print_json
from flota.errors import UsageError

if TYPE_CHECKING:
    from flota.api.models import RolloutView, Wave

app = typer.Typer(
    name="rollout",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Create, watch, pause, resume and abort rollouts.",
)

Identity = Annotated[int, typer.Argument(min=1, help="The rollout's number.")]
_POLL_S = 0.3
_COLOURS = {"succeeded": "green", "failed": "red", "reverting": "yellow", "reverted": "yellow", "running": "cyan"}


@app.command()
def create(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    version: Annotated[str, typer.Argument(help="A published version of it.")],
    device: Annotated[list[str] | None, typer.Option(help="A device; repeat it. They are taken in this order.")] = None,
    group: Annotated[str, typer.Option(help="A group, instead of devices.")] = "",
    wave: Annotated[
        list[str] | None,
        typer.Option(help="Size of a wave: a number of devices, or a share such as 25%; repeat it."),
    ] = None,
    success_threshold: Annotated[
        float, typer.Option(min=0.001, max=1.0, help="Least share of a wave that must confirm.")
    ] = 1.0,
    max_failures: Annotated[
        int | None,
        typer.Option(min=0, help="Most failed devices of the whole rollout; default: only the share counts."),
    ] = None,
    probation_s: Annotated[
        float, typer.Option(min=0.1, help="Seconds a device watches a version before it confirms.")
    ] = 60.0,
    wave_soak_s: Annotated[float, typer.Option(min=0.0, help="Seconds to wait after a wave.")] = 0.0,
    timeout_s: Annotated[float, typer.Option(min=1.0, help="Seconds after which a silent device has failed.")] = 3600.0,
    min_inferences: Annotated[int, typer.Option(min=1, help="Inferences a device must see before it confirms.")] = 20,
    max_error_rate: Annotated[float, typer.Option(min=0.0, max=1.0, help="Most errors per inference.")] = 0.0,
    max_latency_ms: Annotated[float | None, typer.Option(help="Highest median latency.")] = None,
    max_latency_ratio: Annotated[
        float | None, typer.Option(help="Highest latency relative to the version before.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start a rollout."""
    from flota.api import FleetClient
    from flota.messages import HealthLimits

    waves = [_wave(text) for text in wave or ["100%"]]
    limits = HealthLimits(
        min_inferences=min_inferences,
        max_error_rate=max_error_rate,
        max_latency_ms=max_latency_ms,
        max_latency_ratio=max_latency_ratio,
    )
    with FleetClient.from_session() as client:
        rollout = client.create_rollout(
            model,
            version,
            devices=device or [],
            group=group,
            waves=waves,
            success_threshold=success_threshold,
            max_failures=max_failures,
            probation_s=probation_s,
            wave_soak_s=wave_soak_s,
            timeout_s=timeout_s,
            limits=limits,
        )
    _show(rollout, as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the rollouts, the newest first."""
    from flota.api import FleetClient

    with FleetClient.from_session() as client:
        rollouts = client.rollouts()
    if as_json:
        print_json([rollout.model_dump(mode="json") for rollout in rollouts])
        return
    table = Table("id", "release", "status", "wave", "devices", "ok", "failed", "reason", box=None)
    for rollout in rollouts:
        table.add_row(
            str(rollout.id),
            f"{rollout.model} {rollout.version}",
            rollout.status.value,
            f"{rollout.wave + 1}/{rollout.waves}",
            str(rollout.devices),
            str(rollout.succeeded),
            str(rollout.failed),
            rollout.reason,
        )
    Console().print(table)


@app.command()
def show(identity: Identity, as_json: AsJson = False) -> None:
    """Show a rollout with its waves, gate values and devices."""
    from flota.api import FleetClient

    with FleetClient.from_session() as client:
        rollout = client.rollout(identity)
    _show(rollout, as_json=as_json)


@app.command()
def watch(identity: Identity, as_json: AsJson = False) -> None:
    """Follow a rollout until it is over and every device has settled; exit code 1 unless it succeeded."""
    from flota.api import FleetClient

    with FleetClient.from_session() as client:
        rollout = client.rollout(identity)
        with Live(console=Console(stderr=True), auto_refresh=False, transient=as_json) as live:
            while True:
                live.update(_picture(rollout), refresh=True)
                if rollout.settled:
                    break
                time.sleep(_POLL_S)
                rollout = client.rollout(identity)
    if as_json:
        print_json(rollout.model_dump(mode="json"))
    if rollout.status.value != "succeeded":
        raise typer.Exit(1)


@app.command()
def pause(identity: Identity, as_json: AsJson = False) -> None:
    """Assign no more devices until it is resumed."""
    from flota.api import FleetClient

    with FleetClient.from_session() as client:
        _show(client.pause_rollout(identity), as_json=as_json)


@app.command()
def resume(identity: Identity, as_json: AsJson = False) -> None:
    """Go on with a paused rollout."""
    from flota.api import FleetClient

    with FleetClient.from_session() as client:
        _show(client.resume_rollout(identity), as_json=as_json)


@app.command()
def abort(
    identity: Identity,
    keep: Annotated[bool, typer.Option("--keep", help="Leave devices that were moved where they are.")] = False,
    as_json: AsJson = False,
) -> None:
    """End a rollout; every device it moved goes back to what it ran before."""
    from flota.api import FleetClient

    with FleetClient.from_session() as client:
        _show(client.abort_rollout(identity, rollback=not keep), as_json=as_json)


def _wave(text: str) -> Wave:
    from pydantic import ValidationError

    from flota.api.models import Wave

    number = text.strip().removesuffix("%")
    try:
        return Wave(percent=float(number)) if number != text.strip() else Wave(size=int(number))
    except (ValueError, ValidationError) as error:
        raise UsageError(
            f"{text!r} is not the size of a wave", hint="write a number such as 5, or a share such as 25%"
        ) from error


def _show(rollout: RolloutView, *, as_json: bool) -> None:
    if as_json:
        print_json(rollout.model_dump(mode="json"))
    else:
        Console().print(_picture(rollout))


def _picture(rollout: RolloutView) -> Group:
    head = Text(f"rollout {rollout.id}: {rollout.model} {rollout.version}: ")
    head.append(rollout.status.value, style=_COLOURS.get(rollout.status.value, "bold"))
    head.append(f"  {rollout.reason}" if rollout.reason else "")
    return Group(head, _waves(rollout), _members(rollout))


def _waves(rollout: RolloutView) -> Table:
    table = Table("wave", "status", "devices", "ok", "failed", "pending", "success rate", box=None, header_style="bold")
    for wave in rollout.wave_views:
        rate = f"{wave.success_rate:.0%} of {wave.success_threshold:.0%}"
        counts = (len(wave.devices), wave.succeeded, wave.failed, wave.pending)
        table.add_row(str(wave.index + 1), wave.status.value, *map(str, counts), rate)
    return table


def _members(rollout: RolloutView) -> Table:
    table = Table("device", "wave", "state", "phase", "runs", "online", "code", box=None, header_style="bold")
    for member in rollout.members:
        table.add_row(
            member.device,
            str(member.wave + 1),
            Text(member.state.value, style=_COLOURS.get(member.state.value, "")),
            member.phase or "–",
            member.running_version or "–",
            "yes" if member.online else "no",
            f"{member.code} {member.detail}".strip(),
        )
    return table
