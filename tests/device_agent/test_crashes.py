"""Killed at any change of its disk, the device comes back to a running model and ends the update the same way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from agent_bundles import make_bundle

DRIVER = Path(__file__).parent / "crash_driver.py"
EXPECTED = {
    "first": ("good", "confirmed", {"", "good"}),
    "good": ("good", "confirmed", {"old", "good"}),
    "bad": ("old", "rolled-back", {"old", "good"}),
    "selftest": ("old", "failed", {"old"}),
}
VERSIONS = {"old": "1.0.0", "good": "1.1.0", "wrong": "1.2.0", "": ""}


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    folder = tmp_path / "bundles"
    for name, seed in (("old", 1), ("good", 2), ("wrong", 3)):
        path = make_bundle(folder, VERSIONS[name], seed=seed, wrong_golden=name == "wrong")
        path.rename(folder / f"{name}.flota")
    return folder


@pytest.mark.parametrize("scenario", EXPECTED)
def test_every_crash_point(scenario: str, bundles: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(bundles.parent), scenario], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) > 20, "the hook sees the writes"
    assert rows[-1]["code"] == 0
    final, outcome, before = EXPECTED[scenario]
    for row in rows:
        assert row["again"] == 0, (row, done.stderr[-2000:])
        assert row["first"] in {VERSIONS[name] for name in before}, row
        assert (row["running"], row["outcome"], row["phase"]) == (VERSIONS[final], outcome, "idle"), row
        assert row["current"] == row["slot"], row
        assert not row["litter"], row
        _check_events(row, scenario)


def _check_events(row: dict[str, list[list[object]]], scenario: str) -> None:
    """Whatever was retried, the server hears each switch and each end once, without gaps in the numbers."""
    sequence = [event[0] for event in row["events"]]
    assert sequence == list(range(sequence[0], sequence[0] + len(sequence)))
    told = [(kind, version) for _, kind, version in row["events"] if kind not in ("started", "assigned")]
    past = [] if scenario == "first" else [("switched", "1.0.0"), ("confirmed", "1.0.0")]
    ends = {
        "first": [("switched", "1.1.0"), ("confirmed", "1.1.0")],
        "good": [("switched", "1.1.0"), ("confirmed", "1.1.0")],
        "bad": [("switched", "1.1.0"), ("rolled-back", "1.0.0")],
        "selftest": [("failed", "1.2.0")],
    }
    assert told == past + ends[scenario], row
