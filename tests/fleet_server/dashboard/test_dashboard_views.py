"""What the pages show, as pure functions: words, tones, gates and the timeline; and that their advice is real."""

from __future__ import annotations

import importlib
import re
from typing import Any

import pytest
import typer.main

from fleet_server.dashboard import rollout_views, views
from flota.api import models
from flota.api.models import MemberState, RolloutStatus, WaveStatus
from flota.messages import DeviceKind, EventKind, HealthLimits, Outcome


def _device(**changes: Any) -> models.DeviceView:
    values: dict[str, Any] = {
        "name": "press-01",
        "kind": DeviceKind.LINUX,
        "target": "linux-litert",
        "board": "",
        "group": "default",
        "status": "enrolled",
        "online": True,
        "last_seen_at": 100.0,
        "phase": "idle",
        "running_model": "motion",
        "running_version": "1.0.0",
        "running_since": 90.0,
        "desired_model": "motion",
        "desired_version": "1.0.0",
        "desired_counter": 1,
        "last_outcome": Outcome.CONFIRMED,
        "last_code": "",
        "created_at": 1.0,
    }
    return models.DeviceView(**{**values, **changes})


def _member(device: str, wave: int, state: MemberState, **changes: Any) -> models.MemberView:
    values: dict[str, Any] = {
        "phase": "idle",
        "online": True,
        "running_version": "1.0.0",
        "previous_version": "1.0.0",
        "counter": 1,
        "code": "",
        "detail": "",
        "assigned_at": 10.0,
        "finished_at": None,
    }
    return models.MemberView(device=device, wave=wave, state=state, **{**values, **changes})


def _wave(index: int, status: WaveStatus, **changes: Any) -> models.WaveView:
    values: dict[str, Any] = {
        "devices": ("a", "b"),
        "succeeded": 0,
        "failed": 0,
        "pending": 2,
        "success_rate": 0.0,
        "success_threshold": 1.0,
    }
    return models.WaveView(index=index, status=status, **{**values, **changes})


def _rollout(**changes: Any) -> models.RolloutView:
    values: dict[str, Any] = {
        "id": 3,
        "model": "motion",
        "version": "1.1.0",
        "status": RolloutStatus.RUNNING,
        "wave": 0,
        "waves": 1,
        "devices": 2,
        "succeeded": 0,
        "failed": 0,
        "created_by": "ada",
        "created_at": 5.0,
        "finished_at": None,
        "reason": "",
        "failures": 0,
        "max_failures": 0,
        "success_threshold": 1.0,
        "probation_s": 60.0,
        "wave_soak_s": 0.0,
        "timeout_s": 60.0,
        "limits": HealthLimits(),
        "wave_views": (_wave(0, WaveStatus.ACTIVE),),
        "members": (_member("a", 0, MemberState.ASSIGNED), _member("b", 0, MemberState.ASSIGNED)),
        "settled": False,
    }
    return models.RolloutView(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "link", "tone"),
    [
        ({}, "online", "good"),
        ({"online": False}, "offline", "warn"),
        ({"status": "registered", "online": False}, "not enrolled", "idle"),
        ({"status": "revoked"}, "revoked", "bad"),
    ],
)
def test_whether_we_hear_from_a_device(changes: dict[str, Any], link: str, tone: str) -> None:
    row = views.device_row(_device(**changes))
    assert (row.link, row.link_tone) == (link, tone)


def test_an_emulated_board_always_says_so() -> None:
    row = views.device_row(_device(kind=DeviceKind.MCU, board="qemu-mps2-an386"))
    assert row.kind == "mcu · qemu-mps2-an386 (emulated)"
    assert views.device_row(_device(kind=DeviceKind.MCU, board="nucleo-f446re")).kind == "mcu · nucleo-f446re"


def test_a_goal_is_shown_only_where_it_differs() -> None:
    assert views.device_row(_device()).goal == ""
    assert views.device_row(_device(desired_version="1.1.0")).goal == "1.1.0"


def test_tiles_count_what_choosing_them_shows() -> None:
    rows = [
        views.device_row(device)
        for device in (
            _device(),
            _device(name="b", online=False),
            _device(name="c", phase="probation"),
            _device(name="d", last_outcome=Outcome.REFUSED, last_code="selftest.mismatch"),
            _device(name="e", status="revoked", online=False),
        )
    ]
    counts = {tile.key: tile.count for tile in views.fleet_tiles(rows)}
    assert counts == {"all": 5, "online": 3, "offline": 1, "updating": 1, "trouble": 1}
    assert all(len(views.rows_of_tile(rows, key)) == count for key, count in counts.items())


def test_history_is_newest_first_and_says_what_runs_now() -> None:
    reasons = ("factory", "rollout", "rollback")
    ran = [models.Ran(version=f"1.{i}.0", model="motion", reason=reason, at=i) for i, reason in enumerate(reasons)]
    rows = views.history_rows(ran)
    assert [row.version for row in rows] == ["1.2.0", "1.1.0", "1.0.0"]
    assert [row.now for row in rows] == ["running now", "", ""]
    assert rows[0].reason_tone == "bad"


def test_every_state_has_a_tone() -> None:
    assert set(rollout_views.MEMBER_TONES) == set(MemberState)
    assert set(rollout_views.WAVE_TONES) == set(WaveStatus)
    assert set(rollout_views.ROLLOUT_TONES) == set(RolloutStatus)
    assert set(views.OUTCOME_TONES) == set(Outcome)
    assert set(views.EVENT_TONES) == {kind.value for kind in EventKind}


def test_the_bars_of_a_wave_add_up() -> None:
    members = [_member("a", 0, MemberState.SUCCEEDED), _member("b", 0, MemberState.ASSIGNED)]
    row = rollout_views.wave_row(_wave(0, WaveStatus.ACTIVE, succeeded=1, pending=1, success_rate=0.5), members)
    assert (row.good, row.busy, row.bad) == (50.0, 50.0, 0.0)
    assert (row.rate, row.threshold, row.verdict) == ("50%", "≥ 100%", "open")
    assert row.progress == "1 good · 0 failed · 1 to go"


def test_a_wave_that_has_not_begun_has_no_success_rate() -> None:
    row = rollout_views.wave_row(_wave(1, WaveStatus.PENDING, success_rate=1.0), [])
    assert (row.rate, row.verdict, row.progress) == ("–", "not begun", "not begun")


def _gates(rollout: models.RolloutView) -> dict[str, tuple[str, str, str]]:
    return {gate.name: (gate.value, gate.threshold, gate.verdict) for gate in rollout_views.gate_rows(rollout)}


def test_gates_show_values_next_to_thresholds() -> None:
    broken = _member("a", 0, MemberState.FAILED, code="health.latency")
    limits = HealthLimits(max_latency_ms=50, max_latency_ratio=2.0, max_error_rate=0.01)
    gates = _gates(
        _rollout(
            failures=1,
            limits=limits,
            members=(broken, _member("b", 0, MemberState.SUCCEEDED)),
            wave_views=(_wave(0, WaveStatus.FAILED, succeeded=1, failed=1, success_rate=0.5),),
        )
    )
    assert gates["success rate"] == ("50% of wave 1", "≥ 100%", "failed")
    assert gates["failed devices"] == ("1 of 2 devices", "≤ 0", "failed")
    assert gates["median latency"] == ("1 of 2 judged devices over", "≤ 50 ms and ≤ 2 × the version before", "failed")
    assert gates["error rate"] == ("0 of 1 judged devices over", "≤ 1.0%", "holds")


def test_a_gate_nobody_was_judged_by_is_open() -> None:
    gates = _gates(_rollout())
    assert gates["error rate"][2] == "open"
    assert "median latency" not in gates


def test_the_timeline_is_newest_first_and_names_the_device() -> None:
    acts = [
        models.AuditView(
            id=index,
            at=float(index),
            actor=actor,
            action=f"rollout.{action}",
            subject="rollout 3",
            detail=detail,
            previous_hash="",
            hash="",
        )
        for index, (actor, action, detail) in enumerate(
            [("ada", "create", {"waves": "[1]"}), ("server", "assign", {"device": "a", "version": "1.1.0"})]
        )
    ]
    member = _member("a", 0, MemberState.SUCCEEDED, finished_at=9.0)
    moments = rollout_views.timeline(_rollout(members=(member,)), acts)
    assert [(moment.what, moment.who) for moment in moments] == [("succeeded", "a"), ("assign", "a"), ("create", "ada")]


def test_a_plot_keeps_its_lines_without_readings() -> None:
    reading = models.TelemetryView(device="a", seq=1, at=5.0, name="inferences", value=3.0, version="")
    assert views.series([reading], ("inferences", "errors")) == (
        views.Series("inferences", ((5.0, 3.0),)),
        views.Series("errors", ()),
    )


@pytest.mark.parametrize(("size", "text"), [(1, "1 B"), (1536, "1.5 KiB"), (5 * 1024 * 1024, "5.0 MiB")])
def test_sizes_for_people(size: int, text: str) -> None:
    assert views.human_bytes(size) == text


def test_the_commands_that_empty_pages_name_exist() -> None:
    """Every ``flota GROUP COMMAND --OPTION`` in an empty state is one of the command line."""
    pages = [
        importlib.import_module(f"fleet_server.dashboard.pages.{name}") for name in ("fleet", "releases", "device")
    ]
    pages.append(importlib.import_module("fleet_server.dashboard.pages.rollouts"))
    empties = [empty for page in pages for name, empty in vars(page).items() if "EMPTY" in name or "NO_" in name]
    lines = [line for empty in empties for line in empty.command.splitlines() if line]
    assert len(lines) >= 6
    for line in lines:
        program, group, command = line.split()[:3]
        assert program == "flota"
        app = typer.main.get_command(importlib.import_module(f"flota.cli.{group}").app)
        options = {option for p in app.commands[command].params for option in p.opts}
        assert set(re.findall(r"--[a-z-]+", line)) <= options, line
