"""``flota demo``: the whole mission on this machine, told step by step."""

from __future__ import annotations

import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.status import Status
from rich.table import Table

from flota.errors import MissingTool, UsageError

if TYPE_CHECKING:
    from flota.demo.scenario import Ending
    from flota.demo.story import Story

_FOR_TESTS = ("chromium", "pytest")


def command(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write what happened to this file, as JSON.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave server, agents and board running, and print how to stop them.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Work in this new folder (default: a temporary one).")
    ] = None,
    stop: Annotated[
        Path | None, typer.Option("--stop", help="Stop the demo that --keep left up in this folder, and exit.")
    ] = None,
) -> None:
    """Run the whole mission on this machine.

    Trains motion, benches it on an emulated microcontroller, rolls out two good versions and a bad one to three Linux
    agents and the microcontroller, and attacks the fleet. Everything is real, listens on loopback only, and ends with
    the command unless --keep is given.
    """
    console = Console(stderr=True, highlight=False)
    if stop is not None:
        _stop(stop, console)
        return
    if json_file is not None and not json_file.absolute().parent.is_dir():  # now, not after minutes of work
        raise UsageError(f"{json_file.parent} is no folder", hint="make it first, or name a file elsewhere")
    _check_programs()
    where = _new_folder(folder)
    console.print(f"the demo works in {where}, its logs are in {where / 'logs'}")
    ending = _play(where, console, keep=keep)
    if json_file is not None:
        ending.story.write(json_file)
    _print_story(ending.story, Console())
    if keep:
        _print_address(ending, where, console)
    elif folder is None:
        shutil.rmtree(where)


def _play(where: Path, console: Console, *, keep: bool) -> Ending:
    from flota.demo.processes import Children
    from flota.demo.scenario import Scenario

    signal.signal(signal.SIGTERM, _terminated)
    children = Children(where)
    left_up = False
    try:
        with Status("", console=console) as status:
            ending = Scenario(where, children, _Narrator(console, status)).run()
        left_up = keep
        return ending
    finally:
        if not left_up:
            children.stop()


def _terminated(number: int, _frame: object) -> None:
    """Leave through the ``finally`` clauses, so that a demo that is ended ends what it started."""
    raise SystemExit(128 + number)


class _Narrator:
    """Tells the steps on a terminal: a line when one is done, a moving line for the one at work."""

    def __init__(self, console: Console, status: Status) -> None:
        self._console = console
        self._status = status
        self._text = ""

    def begin(self, text: str) -> None:
        self._text = text
        self._status.update(text)

    def detail(self, text: str) -> None:
        self._status.update(f"{self._text}\n  [dim]{text}[/]")

    def done(self, text: str, seconds: float) -> None:
        self._console.print(f"[green]✔[/] {text} [dim]({seconds:.1f} s)[/]")


def _check_programs() -> None:
    from flota.diagnosis import diagnose

    missing = [finding for finding in diagnose() if not finding.found and finding.name not in _FOR_TESTS]
    if missing:
        raise MissingTool(
            f"the demo needs {', '.join(finding.name for finding in missing)}",
            hint="; ".join(dict.fromkeys(finding.install for finding in missing)) + " (or: make setup)",
        )


def _new_folder(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="flota-demo-"))
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", hint="name a new folder, or stop and delete the demo in it")
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def _stop(folder: Path, console: Console) -> None:
    from flota.demo.processes import stop_recorded

    names = stop_recorded(folder)
    console.print(f"stopped {', '.join(names)}" if names else "nothing of it was running")


def _print_story(story: Story, console: Console) -> None:
    from hil.bench.render import render_report
    from hil.bench.report import BenchReport

    fleet = Table(title="the fleet", box=None, header_style="bold", title_justify="left")
    for column in ("device", "kind", "what ran on it", "ended on"):
        fleet.add_column(column)
    for name, device in story.devices.items():
        ran = " → ".join(f"{r.version} ({r.reason})" for r in device.history)
        fleet.add_row(name, device.kind, ran, device.final)
    refused = Table(title="refused", box=None, header_style="bold", title_justify="left")
    for column in ("what", "code"):
        refused.add_column(column)
    for row in story.refused:
        refused.add_row(row.what, row.code)
    console.print(render_report(BenchReport.model_validate(story.bench)))
    console.print(fleet, refused, f"{story.seconds:.0f} s in all", sep="\n")


def _print_address(ending: Ending, where: Path, console: Console) -> None:
    from flota.demo.fleet import OPERATOR

    console.print(f"dashboard: {ending.address.dashboard}  user: {OPERATOR}  password: {ending.password}")
    console.print(f"its certificate is signed by {where / 'server' / 'ca.pem'}; the browser will ask")
    console.print(f"stop it with: flota demo --stop {where}")
