"""The command's frame: help, errors, exit codes."""

from __future__ import annotations

import contextlib
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from flota import __version__, cli
from flota.errors import StorageError, UsageError


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    text = capsys.readouterr().out
    for name in cli.COMMANDS:
        assert f"  {name} " in text


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_has_help_and_loads_nothing_heavy(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([name, "--help"]) == 0
    assert "Usage: flota" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"flota {__version__}\n"


def test_unknown_command_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["nope"]) == 2
    assert "No such command 'nope'" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "exit_code"), [(StorageError("disk full"), 1), (UsageError("what?"), 2)])
def test_errors_are_two_lines_with_code_and_hint(
    error: StorageError, exit_code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error.hint = "make [room]"

    def command() -> None:
        raise error

    monkeypatch.setitem(sys.modules, "flota.cli.doctor", types.SimpleNamespace(command=command))
    assert cli.run(["doctor"]) == exit_code
    assert capsys.readouterr().err == f"error: {error.message} ({error.code})\nhint: make [room]\n"


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise ModuleNotFoundError("No module named 'nicegui'", name="nicegui")

    monkeypatch.setitem(sys.modules, "flota.cli.server", types.SimpleNamespace(command=command))
    assert cli.run(["server"]) == 1
    assert "hint: pip install 'flota[server]'" in capsys.readouterr().err


def test_doctor_finds_this_python_and_tells_how_to_install_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("flota.programs._ADMIN_FOLDERS", ())
    assert cli.run(["doctor", "--json"]) == 1
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["qemu-system-arm"] == {
        "name": "qemu-system-arm",
        "needed_for": "emulated boards",
        "found": False,
        "version": "",
        "install": "apt-get install qemu-system-arm",
    }
    assert rows["tensorflow-cpu"]["found"]


def _leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield " ".join(path), command
        return
    for name, child in command.commands.items():
        yield from _leaves(child, (*path, name))


def _every_command() -> list[tuple[str, Any]]:
    group: Any = typer.main.get_command(cli.app)
    return [leaf for name in cli.COMMANDS for leaf in _leaves(group.get_command(None, name), (name,))]


@pytest.mark.parametrize(("path", "command"), [pytest.param(*each, id=each[0]) for each in _every_command()])
def test_everything_in_a_help_text_is_explained(path: str, command: Any) -> None:
    assert command.help
    for parameter in command.params:
        assert parameter.help, f"flota {path}: {parameter.name} has no help"
        assert not parameter.secondary_opts, f"flota {path}: {parameter.secondary_opts} says nothing new"


def test_a_full_output_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert cli.run(["--version"]) == 1
        monkeypatch.undo()
        with contextlib.suppress(OSError):
            full.close()
    assert "error: output: No space left on device (storage)" in capsys.readouterr().err
