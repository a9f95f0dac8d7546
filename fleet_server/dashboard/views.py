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
    MemberState,
    MemberView,
    Ran,
    ReleaseView,
    RolloutStatus,
    RolloutSummary,
    RolloutView,
    TelemetryView,
    WaveStatus,
    WaveView,
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
ROLLOUT_TONES: dict[RolloutStatus, Tone] = {
    RolloutStatus.RUNNING: "busy",
    RolloutStatus.PAUSED: "warn",
    RolloutStatus.SUCCEEDED: "good",
    RolloutStatus.FAILED: "bad",
    RolloutStatus.ABORTED: "bad",
}
WAVE_TONES: dict[WaveStatus, Tone] = {
    WaveStatus.PENDING: "idle",
    WaveStatus.ACTIVE: "busy",
    WaveStatus.SOAKING: "busy",
    WaveStatus.PASSED: "good",
    WaveStatus.FAILED: "bad",
}
MEMBER_TONES: dict[MemberState, Tone] = {
    MemberState.WAITING: "idle",
    MemberState.ASSIGNED: "busy",
    MemberState.SUCCEEDED: "good",
    MemberState.FAILED: "bad",
    MemberState.SKIPPED: "idle",
    MemberState.REVERTING: "warn",
    MemberState.REVERTED: "warn",
    MemberState.KEPT: "warn",
    MemberState.REVERT_FAILED: "bad",
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
class RolloutRow:
    """A rollout in the list. ``good``, ``bad`` and ``rest`` are percent of its devices."""

    id: int
    model: str
    version: str
    status: str
    status_tone: Tone
    wave: str
    progress: str
    good: float
    bad: float
    devices: int
    by: str
    created: float
    finished: float | None
    reason: str


def rollout_row(rollout: RolloutSummary) -> RolloutRow:
    """The list's row of a rollout."""
    return RolloutRow(
        id=rollout.id,
        model=rollout.model,
        version=rollout.version,
        status=rollout.status.value,
        status_tone=ROLLOUT_TONES[rollout.status],
        wave=f"{min(rollout.wave + 1, rollout.waves)} of {rollout.waves}",
        progress=f"{rollout.succeeded} of {rollout.devices}",
        good=_percent(rollout.succeeded, rollout.devices),
        bad=_percent(rollout.failed, rollout.devices),
        devices=rollout.devices,
        by=rollout.created_by,
        created=rollout.created_at,
        finished=rollout.finished_at,
        reason=rollout.reason,
    )


@dataclass(frozen=True, slots=True)
class WaveRow:
    """A wave: its progress and its gate. ``good``, ``bad`` and ``busy`` are percent of its devices."""

    index: int
    label: str
    status: str
    status_tone: Tone
    devices: int
    names: str
    good: float
    busy: float
    bad: float
    progress: str
    rate: str
    threshold: str
    verdict: str
    verdict_tone: Tone


def wave_row(wave: WaveView, members: Sequence[MemberView]) -> WaveRow:
    """The row of a wave."""
    total = len(wave.devices)
    busy = sum(member.wave == wave.index and member.state is MemberState.ASSIGNED for member in members)
    verdict, tone = _wave_verdict(wave)
    return WaveRow(
        index=wave.index,
        label=f"Wave {wave.index + 1}",
        status=wave.status.value,
        status_tone=WAVE_TONES[wave.status],
        devices=total,
        names=", ".join(wave.devices),
        good=_percent(wave.succeeded, total),
        busy=_percent(busy, total),
        bad=_percent(wave.failed, total),
        progress=_wave_progress(wave),
        rate=NONE if wave.status is WaveStatus.PENDING else f"{wave.success_rate:.0%}",
        threshold=f"≥ {wave.success_threshold:.0%}",
        verdict=verdict,
        verdict_tone=tone,
    )


def _wave_progress(wave: WaveView) -> str:
    if wave.status is WaveStatus.PENDING:
        return "not begun"
    left = f" · {wave.pending} to go" if wave.pending else ""
    return f"{wave.succeeded} good · {wave.failed} failed{left}"


def _wave_verdict(wave: WaveView) -> tuple[str, Tone]:
    if wave.status is WaveStatus.PASSED:
        return "passed", "good"
    if wave.status is WaveStatus.FAILED:
        return "failed", "bad"
    return ("open", "busy") if wave.status is not WaveStatus.PENDING else ("not begun", "idle")


@dataclass(frozen=True, slots=True)
class GateRow:
    """A measured condition next to what it must keep to."""

    name: str
    value: str
    threshold: str
    verdict: str
    verdict_tone: Tone


def gate_rows(rollout: RolloutView) -> list[GateRow]:
    """Every gate of a rollout: those of the fleet first, then what each device is held to in its probation."""
    rows = [_success_gate(rollout), _failure_gate(rollout)]
    limits = rollout.limits
    judged = [
        ("error rate", f"≤ {limits.max_error_rate:.1%}", "health.errors"),
        ("outputs of probes", "as the golden vectors", "health.outputs"),
    ]
    latency = []
    if limits.max_latency_ms is not None:
        latency.append(f"≤ {limits.max_latency_ms:g} ms")
    if limits.max_latency_ratio is not None:
        latency.append(f"≤ {limits.max_latency_ratio:g} × the version before")
    if latency:
        judged.append(("median latency", " and ".join(latency), "health.latency"))
    judged.append(("self-test", "as the golden vectors", "selftest.mismatch"))
    return rows + [_device_gate(rollout, *gate) for gate in judged]


def _success_gate(rollout: RolloutView) -> GateRow:
    current = rollout.wave_views[min(rollout.wave, len(rollout.wave_views) - 1)]
    verdict, tone = _wave_verdict(current)
    value = f"{current.success_rate:.0%} of wave {current.index + 1}"
    return GateRow("success rate", value, f"≥ {current.success_threshold:.0%}", verdict, tone)


def _failure_gate(rollout: RolloutView) -> GateRow:
    over = rollout.failures > rollout.max_failures
    value = f"{rollout.failures} of {rollout.devices} devices"
    verdict: tuple[str, Tone] = ("failed", "bad") if over else ("holds", "good")
    return GateRow("failed devices", value, f"≤ {rollout.max_failures}", *verdict)


def _device_gate(rollout: RolloutView, name: str, threshold: str, code: str) -> GateRow:
    broke = sum(member.code == code for member in rollout.members)
    judged = sum(member.state is MemberState.SUCCEEDED for member in rollout.members) + broke
    value = f"{broke} of {judged} judged devices over" if judged else "no device judged yet"
    if broke:
        return GateRow(name, value, threshold, "failed", "bad")
    return GateRow(name, value, threshold, "holds" if judged else "open", "good" if judged else "idle")


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A device of a rollout."""

    device: str
    wave: int
    state: str
    state_tone: Tone
    phase: str
    link: str
    link_tone: Tone
    version: str
    before: str
    code: str
    detail: str
    assigned: float | None
    finished: float | None


def member_row(member: MemberView) -> MemberRow:
    """The row of a device of a rollout."""
    return MemberRow(
        device=member.device,
        wave=member.wave + 1,
        state=member.state.value,
        state_tone=MEMBER_TONES[member.state],
        phase=member.phase or NONE,
        link="online" if member.online else "offline",
        link_tone="good" if member.online else "warn",
        version=member.running_version or NONE,
        before=member.previous_version or NONE,
        code=member.code,
        detail=member.detail,
        assigned=member.assigned_at,
        finished=member.finished_at,
    )


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of a rollout's timeline."""

    id: str
    at: float
    what: str
    tone: Tone
    who: str
    detail: str


_ACT_TONES: dict[str, Tone] = {
    "create": "busy",
    "assign": "busy",
    "wave": "busy",
    "pause": "warn",
    "resume": "busy",
    "revert": "warn",
    "abort": "bad",
    "aborted": "bad",
    "failed": "bad",
    "revert-failed": "bad",
    "succeeded": "good",
}


def timeline(rollout: RolloutView, acts: Iterable[AuditView]) -> list[Moment]:
    """What happened in a rollout, the newest first: its lines of the audit log, and the devices that did well.

    What people and the engine do, and every failure, is audited; a device that succeeds or is back again is not.
    """
    moments = [_act_moment(act) for act in acts]
    quiet = (MemberState.SUCCEEDED, MemberState.REVERTED)
    for member in rollout.members:
        if member.state in quiet and member.finished_at is not None:
            name, what = f"{member.device}-{member.state.value}", member.state.value
            tone, detail = MEMBER_TONES[member.state], member.detail
            moments.append(Moment(name, member.finished_at, what, tone, member.device, detail))
    return sorted(moments, key=lambda moment: (moment.at, moment.id), reverse=True)


def _act_moment(act: AuditView) -> Moment:
    what = act.action.removeprefix("rollout.")
    detail = ", ".join(f"{key} {value}" for key, value in sorted(act.detail.items()) if key != "device" and value)
    who = act.detail.get("device", act.actor)
    return Moment(f"audit-{act.id:012}", act.at, what, _ACT_TONES.get(what, "idle"), who, detail)


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


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0
