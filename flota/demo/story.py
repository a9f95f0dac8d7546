"""What a demo leaves behind: who ran what, what was refused, and whether that is the story it set out to tell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flota.demo.processes import DemoError
from flota.files import write_atomic


@dataclass(frozen=True, slots=True)
class Ran:
    """A version that ran on a device: since when (UTC seconds) and why."""

    version: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class DeviceStory:
    """One device: ``kind`` is ``linux`` or ``mcu``; ``history`` is what ran, in order."""

    kind: str
    history: tuple[Ran, ...]

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions it ran, in order."""
        return tuple(ran.version for ran in self.history)

    @property
    def final(self) -> str:
        """The version it runs at the end; empty when it never ran one."""
        return self.history[-1].version if self.history else ""


@dataclass(frozen=True, slots=True)
class Refused:
    """Something a device refused, and the code it gave."""

    what: str
    code: str


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that happened. ``bench`` is the bench report's figures by name; ``seconds`` is wall-clock time."""

    devices: Mapping[str, DeviceStory]
    refused: Sequence[Refused]
    bench: Mapping[str, object]
    seconds: float

    def to_json(self) -> bytes:
        """The document that ``flota demo --json FILE`` writes."""
        document = {
            "devices": {
                name: {
                    "kind": device.kind,
                    "history": [{"version": r.version, "reason": r.reason, "at": r.at} for r in device.history],
                    "final": device.final,
                }
                for name, device in self.devices.items()
            },
            "refused": [{"what": refused.what, "code": refused.code} for refused in self.refused],
            "bench": self.bench,
            "seconds": round(self.seconds, 1),
        }
        return json.dumps(document, indent=1).encode() + b"\n"

    def write(self, path: Path) -> None:
        """Write :meth:`to_json` to ``path``."""
        write_atomic(path, self.to_json())


def check_story(story: Story, *, canary: str, good: tuple[str, str], bad: str, refusals: int) -> None:
    """Hold the story against what the demo promises.

    Every device ends on the second good version, only the canary ever ran the bad one, and went back by itself, and
    everything that should be refused was.

    Raises:
        DemoError: It went otherwise; the message says where.
    """
    first, second = good
    for name, device in story.devices.items():
        expected = (first, second, bad, second) if name == canary else (first, second)
        if device.versions != expected:
            raise DemoError(f"{name} ran {' → '.join(device.versions) or 'nothing'}, not {' → '.join(expected)}")
    if story.devices[canary].history[-1].reason != "rollback":
        raise DemoError(f"{canary} did not go back by a rollback")
    if len(story.refused) != refusals:
        raise DemoError(f"{len(story.refused)} of {refusals} attacks were refused")
