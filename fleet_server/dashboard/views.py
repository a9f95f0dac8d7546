"""What the pages show: frozen rows made from the API's documents by pure functions, with words and tones for states.

A tone says how a state is to be taken (``good``, ``busy``, ``warn``, ``bad``, ``idle``); the style sheet gives each
one a colour and a glyph, and the word always stands next to it. Times are UTC seconds since the epoch, None: never.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from flota.api.models import (
    AuditView,
    DeviceView,
    EventView,
    Ran,
    ReleaseView,
    TelemetryView,
)
from flota.messages import Outcome

Tone = Literal["good", "busy", "warn", "bad", "idle"]
NONE = "–"
_KIB = 1024

OUTCOME_TONES: dict[Outcome, Tone] = {
    Outcome.CONFIRMED: "good",
    Outcome.ROLLED_BACK: "bad",
    Outcome.REFUSED: "bad",
    Outcome.FAILED: "bad",
}
EVENT_TONES: dict[str, Tone] = {
    "confirmed": "good",
    "switched": "busy",
    "assigned": "busy",
    "phase": "idle",
    "started": "idle",
    "rolled-back": "bad",
    "refused": "bad",
    "failed": "bad",
}


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device in the fleet table. ``goal`` is the version it shall run, empty where it runs that already."""

    name: str
    kind: str
    target: str
    group: str
    link: str
    link_tone: Tone
    model: str
    version: str
    goal: str
    phase: str
    phase_tone: Tone
    seen: float | None
    result: str
    result_tone: Tone
    code: str

    @property
    def updating(self) -> bool:
        """Whether it is between two versions."""
        return self.phase_tone == "busy"

    @property
    def trouble(self) -> bool:
        """Whether its last update ended badly."""
        return self.result_tone == "bad"


def device_row(device: DeviceView) -> DeviceRow:
    """The fleet table's row of a device."""
    link, link_tone = device_link(device)
    goal = device.desired_version if device.desired_version != device.running_version else ""
    return DeviceRow(
        name=device.name,
        kind=device_kind(device),
        target=device.target,
        group=device.group,
        link=link,
        link_tone=link_tone,
        model=device.running_model,
        version=device.running_version or NONE,
        goal=goal,
        phase=device.phase or NONE,
        phase_tone="idle" if device.phase in ("", "idle") else "busy",
        seen=device.last_seen_at,
        result=device.last_outcome.value if device.last_outcome else NONE,
        result_tone=OUTCOME_TONES[device.last_outcome] if device.last_outcome else "idle",
        code=device.last_code,
    )


def device_link(device: DeviceView) -> tuple[str, Tone]:
    """Whether we hear from a device, in a word."""
    if device.status == "revoked":
        return "revoked", "bad"
    if device.status == "registered":
        return "not enrolled", "idle"
    return ("online", "good") if device.online else ("offline", "warn")


def device_kind(device: DeviceView) -> str:
    """Linux process or microcontroller, with its board; an emulated board says so."""
    board = f"{device.board} (emulated)" if device.board.startswith("qemu-") else device.board
    return " · ".join(part for part in (device.kind.value, board) if part)


@dataclass(frozen=True, slots=True)
class Tile:
    """A count over the fleet table; choosing it shows only what it counts."""

    key: Literal["all", "online", "offline", "updating", "trouble"]
    label: str
    count: int


def fleet_tiles(rows: Sequence[DeviceRow]) -> tuple[Tile, ...]:
    """The counts over the fleet table."""
    return (
        Tile("all", "devices", len(rows)),
        Tile("online", "online", sum(row.link == "online" for row in rows)),
        Tile("offline", "offline", sum(row.link == "offline" for row in rows)),
        Tile("updating", "updating", sum(row.updating for row in rows)),
        Tile("trouble", "last update failed", sum(row.trouble for row in rows)),
    )


def rows_of_tile(rows: Sequence[DeviceRow], key: str) -> list[DeviceRow]:
    """What a tile counts."""
    if key in ("online", "offline"):
        return [row for row in rows if row.link == key]
    if key == "updating":
        return [row for row in rows if row.updating]
    if key == "trouble":
        return [row for row in rows if row.trouble]
    return list(rows)


@dataclass(frozen=True, slots=True)
class RanRow:
    """A version that ran on a device."""

    id: int
    model: str
    version: str
    reason: str
    reason_tone: Tone
    at: float
    now: str


def history_rows(history: Sequence[Ran]) -> list[RanRow]:
    """What ran on a device, the newest first; the first row is what runs now."""
    rows = [
        RanRow(
            id=index,
            model=ran.model,
            version=ran.version,
            reason=ran.reason,
            reason_tone="bad" if ran.reason == "rollback" else "idle",
            at=ran.at,
            now="running now" if index == len(history) - 1 else "",
        )
        for index, ran in enumerate(history)
    ]
    return rows[::-1]


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event of a device."""

    id: int
    at: float
    kind: str
    kind_tone: Tone
    version: str
    code: str
    detail: str


def event_rows(events: Iterable[EventView]) -> list[EventRow]:
    """Events, the newest first."""
    rows = [
        EventRow(e.seq, e.at, e.kind, EVENT_TONES.get(e.kind, "idle"), e.version or NONE, e.code, e.detail)
        for e in events
    ]
    return rows[::-1]


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a plot: (time, value) points in order of time."""

    name: str
    points: tuple[tuple[float, float], ...]


def series(readings: Iterable[TelemetryView], names: Sequence[str]) -> tuple[Series, ...]:
    """The named readings as lines; a name without a reading gives an empty line, so that plots keep their shape."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for reading in readings:
        if reading.name in found:
            found[reading.name].append((reading.at, reading.value))
    return tuple(Series(name, tuple(sorted(points))) for name, points in found.items())


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """A release in the list."""

    id: str
    model: str
    version: str
    targets: str
    bytes: int
    size: str
    floor: int
    published: float | None


def release_row(release: ReleaseView, published_at: float | None) -> ReleaseRow:
    """The list's row of a release; the size is that of all its bundles."""
    size = sum(bundle.size for bundle in release.bundles)
    return ReleaseRow(
        id=f"{release.model} {release.version}",
        model=release.model,
        version=release.version,
        targets=", ".join(bundle.target for bundle in release.bundles),
        bytes=size,
        size=human_bytes(size),
        floor=release.security_floor,
        published=published_at,
    )


def human_bytes(size: int) -> str:
    """A size for people, in binary units."""
    if size < _KIB:
        return f"{size} B"
    if size < _KIB * _KIB:
        return f"{size / _KIB:.1f} KiB"
    return f"{size / _KIB / _KIB:.1f} MiB"


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A line of the audit log."""

    id: int
    at: float
    actor: str
    action: str
    action_tone: Tone
    subject: str
    detail: str
    hash: str


def audit_row(line: AuditView) -> AuditRow:
    """The row of an audit line; the hash is shortened to what a person compares."""
    tone: Tone = "bad" if line.action.endswith((".refused", ".abort", ".revoke")) else "idle"
    return AuditRow(line.id, line.at, line.actor, line.action, tone, line.subject, audit_detail(line), line.hash[:12])


def audit_detail(line: AuditView) -> str:
    """The details of an audit line as one line of text."""
    return ", ".join(f"{key}={value}" for key, value in sorted(line.detail.items()))
