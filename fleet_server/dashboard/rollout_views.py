"""What the pages of rollouts show: waves, gates, devices and the timeline, made from the API's documents.

See :mod:`fleet_server.dashboard.views` for words and tones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fleet_server.dashboard.views import NONE, Tone
from flota.api.models import (
    AuditView,
    MemberState,
    MemberView,
    RolloutStatus,
    RolloutSummary,
    RolloutView,
    WaveStatus,
    WaveView,
)

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


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0
