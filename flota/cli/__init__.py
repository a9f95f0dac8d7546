"""The ``flota`` command: it finds the module of a command, runs it and renders errors. Nothing else lives here.

Each command is a module of this package that is imported when the command is called, so that ``flota agent`` never
pays for TensorFlow and a device without the server's packages still has its own commands.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from flota import __version__
from flota.errors import FlotaError, MissingExtra, StorageError


@dataclass(frozen=True, slots=True)
class _Entry:
    """One line of ``flota --help``; ``extra`` is what to install when the command's imports fail."""

    summary: str
    extra: str = ""


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Of standard output, or of a file that no one expected to fail."""

COMMANDS: dict[str, _Entry] = {
    "demo": _Entry("Run the whole mission on this machine: train, bench, roll out, roll back.", "all"),
    "doctor": _Entry("Say what is installed, what is missing and the command that installs it."),
    "train": _Entry("Train a model of the zoo from its recipe.", "optimize"),
    "optimize": _Entry("Quantize, evaluate, gate and compile a trained model into bundles.", "optimize"),
    "bench": _Entry("Measure a bundle on a board.", "hil"),
    "profile": _Entry("Show what each operator of a model takes on a board, and its memory over time.", "hil"),
    "board": _Entry("List the boards; keep an emulated one running.", "hil"),
    "release": _Entry("Sign bundles into releases and publish them."),
    "server": _Entry("Set up and run the fleet server; sign in to it.", "server"),
    "device": _Entry("Register, list, look at, revoke and ask devices."),
    "rollout": _Entry("Create, watch, pause, resume and abort rollouts."),
    "agent": _Entry("Enrol and run the agent of a device or gateway.", "agent"),
}


OUR_PACKAGES = frozenset({"flota", "models", "optimize", "device_agent", "fleet_server", "hil"})


class _LazyCommands(TyperGroup):
    """A group whose sub-commands are modules, imported on use."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        return _click_command(cmd_name, importlib.import_module(f"flota.cli.{cmd_name}"))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


def _click_command(name: str, module: Any) -> Any:
    """The click command of a module: its ``app`` (a group) or its ``command`` (a function)."""
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(add_completion=False)
        app.command(name)(module.command)
    app.rich_markup_mode = None  # plain help everywhere: it pipes and diffs well
    command = typer.main.get_command(app)
    command.name = name
    return command


def _missing_extra(name: str, error: ModuleNotFoundError) -> FlotaError:
    extra = COMMANDS[name].extra or "all"
    return MissingExtra(f"`flota {name}` needs the Python package {error.name!r}", hint=f"pip install 'flota[{extra}]'")


app = typer.Typer(
    cls=_LazyCommands,
    name="flota",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"flota {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take a trained model to a fleet of microcontrollers and Linux devices, and keep it healthy there."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; errors of ours become two lines on standard error."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        where = f"{error.filename}: " if error.filename else "output: "
        full = StorageError(f"{where}{error.strerror}", hint="make room, or write somewhere else")
        render_error(full)
        return full.exit_code


def _run(arguments: Sequence[str]) -> int:
    try:
        app(arguments, prog_name="flota")
    except FlotaError as error:
        render_error(error)
        return error.exit_code
    except ModuleNotFoundError as error:
        if arguments[0] not in COMMANDS or (error.name or "").split(".")[0] in OUR_PACKAGES:
            raise
        missing = _missing_extra(arguments[0], error)
        render_error(missing)
        return missing.exit_code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def render_error(error: FlotaError) -> None:
    """Print an error as ``error: MESSAGE (CODE)`` and, if it has one, ``hint: HINT`` on standard error."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print("[bold red]error:[/] ", end="")
    console.print(f"{error.message} ({error.code})", markup=False)
    if error.hint:
        console.print("[bold]hint:[/] ", end="")
        console.print(error.hint, markup=False)


def main() -> None:
    """Entry point of the ``flota`` script."""
    code = run()
    try:
        sys.stdout.flush()
    except OSError:  # the interpreter flushes once more when it ends, and would complain of what has been said
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
