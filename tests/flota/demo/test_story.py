"""The demo's own judgement: it must notice when the fleet did something else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from flota.cli import run
from flota.demo.processes import DemoError
from flota.demo.story import DeviceStory, Ran, Refused, Story, check_story

GOOD = ("1.0.0", "1.1.0")


def _device(kind: str, *versions: str) -> DeviceStory:
    last = len(versions) - 1
    return DeviceStory(
        kind,
        tuple(Ran(v, "rollback" if i == last and i > 2 else "rollout", float(i)) for i, v in enumerate(versions)),
    )


def _story() -> Story:
    devices = {"linux-1": _device("linux", "1.0.0", "1.1.0", "1.2.0", "1.1.0"), "mcu-1": _device("mcu", *GOOD)}
    return Story(devices, (Refused("a forged assignment", "assignment.bad-signature"),), {"instructions": 5}, 1.0)


def _check(story: Story) -> None:
    check_story(story, canary="linux-1", good=GOOD, bad="1.2.0", refusals=1)


def test_the_promised_story_passes() -> None:
    _check(_story())


@pytest.mark.parametrize(
    "devices",
    [
        {"linux-1": _device("linux", "1.0.0", "1.1.0", "1.2.0", "1.1.0"), "mcu-1": _device("mcu", *GOOD, "1.2.0")},
        {"linux-1": _device("linux", *GOOD)},
        {"linux-1": _device("linux", "1.0.0", "1.1.0", "1.2.0")},
        {"linux-1": _device("linux", "1.0.0", "1.1.0", "1.2.0", "1.1.0"), "mcu-1": _device("mcu")},
    ],
)
def test_another_story_fails(devices: dict[str, DeviceStory]) -> None:
    with pytest.raises(DemoError):
        _check(dataclasses.replace(_story(), devices=devices))


def test_an_attack_that_was_not_refused_fails() -> None:
    with pytest.raises(DemoError, match="0 of 1 attacks"):
        _check(dataclasses.replace(_story(), refused=()))


def test_the_document_has_the_agreed_keys(tmp_path: Path) -> None:
    _story().write(tmp_path / "story.json")
    document = json.loads((tmp_path / "story.json").read_text())
    assert set(document) == {"devices", "refused", "bench", "seconds"}
    assert document["devices"]["mcu-1"]["final"] == "1.1.0"
    assert document["devices"]["linux-1"]["history"][3] == {"version": "1.1.0", "reason": "rollback", "at": 3.0}
    assert document["refused"] == [{"what": "a forged assignment", "code": "assignment.bad-signature"}]


def test_a_json_file_in_no_folder_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    work = tmp_path / "demo"
    assert run(["demo", "--dir", str(work), "--json", str(tmp_path / "gone" / "story.json")]) != 0
    assert not work.exists()
