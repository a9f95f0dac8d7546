"""The demo's process keeper, with real processes of the ``flota`` command."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from flota.demo.processes import Children, DemoError, run_flota, started_at, stop_recorded


@pytest.fixture
def slow_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for a long-running part: a real process that only waits."""
    monkeypatch.setattr("flota.demo.processes.flota_command", lambda arguments: ["sleep", *arguments])


def test_a_command_that_fails_names_its_log(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="No such command") as caught:
        run_flota(["no-such-command"], tmp_path / "log")
    assert str(tmp_path / "log") in caught.value.hint


def test_standard_output_is_returned(tmp_path: Path) -> None:
    assert run_flota(["--version"], tmp_path / "log").startswith("flota ")


def test_a_child_that_ends_on_its_own_is_noticed(tmp_path: Path) -> None:
    children = Children(tmp_path)
    children.start("server", ["no-such-command"])
    with pytest.raises(DemoError, match="server ended with exit code 2"):
        children.wait_for("the server", lambda: False, timeout_s=30)
    children.stop()


def test_stop_ends_every_child(tmp_path: Path, slow_command: None) -> None:
    children = Children(tmp_path)
    pids = [children.start(name, ["300"]).process.pid for name in ("one", "two")]
    children.stop()
    assert [started_at(pid) for pid in pids] == [None, None]
    assert json.loads((tmp_path / "processes.json").read_text()) == []


def test_a_demo_left_up_is_stopped_by_its_record(tmp_path: Path, slow_command: None) -> None:
    child = Children(tmp_path).start("one", ["300"])
    assert stop_recorded(tmp_path) == ["one"]
    child.process.wait(10)
    assert stop_recorded(tmp_path) == []


def test_a_stranger_with_a_recorded_id_is_left_alone(tmp_path: Path) -> None:
    stranger = {"name": "one", "pid": os.getpid(), "started": 1}
    (tmp_path / "processes.json").write_text(json.dumps([stranger]))
    assert stop_recorded(tmp_path) == []


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="holds no demo"):
        stop_recorded(tmp_path)
