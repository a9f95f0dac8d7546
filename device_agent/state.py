"""The agent's state machine: a table and one pure function, ``step(state, event) -> (state, effects)``.

Rules of this file:

1. Everything that decides what happens next lives here. No clock, disk, network or thread: time enters as ``at`` of an
   event (UTC seconds since the epoch), work leaves as an effect.
2. The phase and the job say what work is due. A process that starts anew therefore only has to send :class:`Started`
   and gets the same work again; every piece of work may be done twice.
3. The shell persists the new state before it carries out an effect. What operators must hear travels in ``outbox``,
   a part of the state, so a transition and the news of it are never apart.
4. ``TRANSITIONS`` lists every phase an event can lead to; an event with no row in its phase is a bug and fails loudly.
   News of work that was called off meanwhile (another counter, or a phase that is over) is not a bug: it is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from flota.messages import Assignment, Event, EventKind, Outcome, Phase, Result, Running

Slot = Literal["A", "B"]

MAX_STARTS = 3
"""Unclean process starts one job survives in self-test, switch and probation together; the next one ends it."""

MAX_OUTBOX = 256
"""Events kept for the server; the oldest go first."""

MAX_DETAIL = 500


@dataclass(frozen=True, slots=True)
class Job:
    """The assignment at work and what is known of it. ``slot`` is where it is installed.

    ``baseline`` is the median cost of a probe on the version before, in the installer's unit; None: no version before.
    ``starts`` counts unclean process starts; ``code`` and ``detail`` say why it is being rolled back.
    """

    assignment: Assignment
    slot: Slot
    security_floor: int = 0
    baseline: float | None = None
    switched: bool = False
    starts: int = 0
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AgentState:
    """All the agent must remember. ``seq`` grows with every step, ``counter`` is the highest one taken."""

    phase: Phase = Phase.IDLE
    running: Running | None = None
    previous: Running | None = None
    job: Job | None = None
    pending: Assignment | None = None
    counter: int = 0
    envelope: str = ""
    refused_envelope: str = ""
    last_result: Result | None = None
    security_floor: int = 0
    seq: int = 0
    event_seq: int = 0
    outbox: tuple[Event, ...] = ()
    outbox_dropped: int = 0
    stopped: bool = False


# ---------------------------------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Booted:
    """The process begins and has loaded no model yet, so a version that ends it while loading is counted too."""

    at: float


@dataclass(frozen=True, slots=True)
class Started:
    """The process is up; ``running`` is what it could really load. :class:`Booted` came before."""

    at: float
    running: Running | None


@dataclass(frozen=True, slots=True)
class Stopping:
    """The process was asked to end; its next start is not a crash."""

    at: float


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker is reached (again): what we say of ourselves must be said anew."""

    at: float


@dataclass(frozen=True, slots=True)
class Assigned:
    """An assignment whose envelope was verified; ``envelope`` is the SHA-256 of its bytes."""

    at: float
    assignment: Assignment
    envelope: str


@dataclass(frozen=True, slots=True)
class EnvelopeRefused:
    """Bytes on the assign topic that are no assignment for us. Nothing in them can be believed, not even a counter."""

    at: float
    envelope: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Noted:
    """Something an operator wants to know that moves nothing, such as a board that was unplugged."""

    at: float
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Acked:
    """The server stored our events up to ``event_seq``."""

    at: float
    event_seq: int


@dataclass(frozen=True, slots=True)
class Downloaded:
    """The whole bundle is on disk, not yet trusted."""

    at: float
    counter: int


@dataclass(frozen=True, slots=True)
class Verified:
    """The bundle is the released one and fits this device; ``security_floor`` is the release's."""

    at: float
    counter: int
    security_floor: int


@dataclass(frozen=True, slots=True)
class Installed:
    """The inactive slot holds the bundle."""

    at: float
    counter: int


@dataclass(frozen=True, slots=True)
class SelfTested:
    """The golden vectors gave what they must; ``baseline`` is the running version's median probe cost."""

    at: float
    counter: int
    baseline: float | None


@dataclass(frozen=True, slots=True)
class Switched:
    """The new version serves."""

    at: float
    counter: int


@dataclass(frozen=True, slots=True)
class Judged:
    """Probation is over: healthy where ``code`` is empty."""

    at: float
    counter: int
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Committed:
    """The device itself will stay with the new version."""

    at: float
    counter: int


@dataclass(frozen=True, slots=True)
class Reverted:
    """The former version serves again; ``lost``: there is none, or its slot rotted, so nothing serves."""

    at: float
    counter: int
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """Work could not be done. ``refused``: because of what the bundle is, not because of what went wrong here."""

    at: float
    counter: int
    code: str
    detail: str
    refused: bool = False


AgentEvent = (
    Booted
    | Started
    | Stopping
    | Connected
    | Assigned
    | EnvelopeRefused
    | Noted
    | Acked
    | Downloaded
    | Verified
    | Installed
    | SelfTested
    | Switched
    | Judged
    | Committed
    | Reverted
    | Failed
)

# --------------------------------------------------------------------------------------------------- effects


@dataclass(frozen=True, slots=True)
class Work:
    """Do what ``phase`` asks for; it replaces any work under way."""

    phase: Phase
    job: Job


@dataclass(frozen=True, slots=True)
class Rest:
    """Stop any work under way."""


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the server: state and outbox."""


Effect = Work | Rest | Report
Step = tuple[AgentState, tuple[Effect, ...]]


class IllegalEvent(Exception):
    """An event came in a phase that has no row for it: a bug of the shell or of the table."""


# ---------------------------------------------------------------------------------------------- the table

_P = Phase
_TAKING = (_P.DOWNLOAD, _P.IDLE)  # IDLE: what is assigned runs already
_ENDING = (_P.IDLE, _P.DOWNLOAD)  # DOWNLOAD: another assignment was waiting
_STAY: Mapping[type, tuple[Phase, ...]] = {Stopping: (), Connected: (), EnvelopeRefused: (), Noted: (), Acked: ()}

TRANSITIONS: Mapping[Phase, Mapping[type, tuple[Phase, ...]]] = {
    _P.IDLE: {Booted: (_P.IDLE,), Started: (_P.IDLE,), Assigned: (_P.IDLE, *_TAKING)},
    _P.DOWNLOAD: {
        Booted: (_P.DOWNLOAD,),
        Started: (_P.DOWNLOAD,),
        Downloaded: (_P.VERIFY,),
        Failed: (_P.IDLE,),
        Assigned: _TAKING,
    },
    _P.VERIFY: {
        Booted: (_P.VERIFY,),
        Started: (_P.VERIFY,),
        Verified: (_P.INSTALL,),
        Failed: (_P.IDLE,),
        Assigned: (_P.VERIFY, *_TAKING),
    },
    _P.INSTALL: {
        Booted: (_P.INSTALL,),
        Started: (_P.INSTALL,),
        Installed: (_P.SELF_TEST,),
        Failed: (_P.IDLE,),
        Assigned: (_P.INSTALL, *_TAKING),
    },
    _P.SELF_TEST: {
        Booted: (_P.SELF_TEST, _P.IDLE),
        Started: (_P.SELF_TEST,),
        SelfTested: (_P.SWITCH,),
        Failed: (_P.IDLE,),
        Assigned: (_P.SELF_TEST, *_TAKING),
    },
    _P.SWITCH: {
        Booted: (_P.SWITCH, _P.ROLL_BACK),
        Started: (_P.SWITCH,),
        Switched: (_P.PROBATION, _P.ROLL_BACK),
        Failed: (_P.ROLL_BACK,),
        Assigned: (_P.SWITCH,),
    },
    _P.PROBATION: {
        Booted: (_P.PROBATION, _P.ROLL_BACK),
        Started: (_P.PROBATION, _P.ROLL_BACK),
        Judged: (_P.CONFIRM, _P.ROLL_BACK),
        Failed: (_P.ROLL_BACK,),
        Assigned: (_P.PROBATION, _P.ROLL_BACK),
    },
    _P.CONFIRM: {
        Booted: (_P.CONFIRM,),
        Started: (_P.CONFIRM, _P.ROLL_BACK),
        Committed: _ENDING,
        Failed: (_P.ROLL_BACK,),
        Assigned: (_P.CONFIRM,),
    },
    _P.ROLL_BACK: {
        Booted: (_P.ROLL_BACK,),
        Started: (_P.ROLL_BACK,),
        Reverted: _ENDING,
        Assigned: (_P.ROLL_BACK,),
    },
}

_NEWS_OF_WORK = (Downloaded, Verified, Installed, SelfTested, Switched, Judged, Committed, Reverted, Failed)


def step(state: AgentState, event: AgentEvent) -> Step:
    """The state after ``event`` and what is to be done then, in this order. The state is the same object if nothing
    changed; such an event has no effects.

    Raises:
        IllegalEvent: The event cannot come in this phase.
    """
    if isinstance(event, _NEWS_OF_WORK) and _is_stale(state, event):
        return state, ()
    if type(event) in _STAY:
        return _counted(state, _ANYWHERE[type(event)](state, event))
    allowed = TRANSITIONS[state.phase].get(type(event))
    if allowed is None:
        raise IllegalEvent(f"{type(event).__name__} in phase {state.phase.value}")
    after = _counted(state, _HANDLERS[type(event)](state, event))
    if after[0].phase not in allowed:
        raise IllegalEvent(f"{type(event).__name__} leads from {state.phase.value} to {after[0].phase.value}")
    return after


def diagram() -> str:
    """The table as a Mermaid state diagram, for the README."""
    lines = ["stateDiagram-v2", f"    [*] --> {_P.IDLE.name}"]
    for phase, row in TRANSITIONS.items():
        for kind, targets in row.items():
            lines += [f"    {phase.name} --> {target.name}: {kind.__name__}" for target in targets if target != phase]
    return "\n".join(lines) + "\n"


def _is_stale(state: AgentState, event: Any) -> bool:
    if state.job is None or event.counter != state.job.assignment.counter:
        return True
    return type(event) not in TRANSITIONS[state.phase]


def _counted(before: AgentState, after: Step) -> Step:
    state, effects = after
    return (before, ()) if state is before else (replace(state, seq=before.seq + 1), effects)


# ------------------------------------------------------------------------------------------------ handlers


def _booted(state: AgentState, event: Booted) -> Step:
    clean, job = state.stopped, state.job
    state = replace(state, stopped=False) if clean else state
    if job is None or clean or state.phase not in (_P.SELF_TEST, _P.SWITCH, _P.PROBATION):
        return state, ()
    job = replace(job, starts=job.starts + 1)
    state = replace(state, job=job)
    if job.starts <= MAX_STARTS:
        return state, ()
    detail = f"the process ended {job.starts} times in {state.phase.value}"
    if state.phase is _P.SELF_TEST:
        return _end(state, event.at, Outcome.FAILED, "selftest.crashed", detail)
    return _roll_back(state, job, "health.crashed", detail)[0], ()  # the work begins with Started


def _started(state: AgentState, event: Started) -> Step:
    state = _say(state, event.at, EventKind.STARTED, version=_version(event.running))
    job = state.job
    if job is None:
        return _adopt(state, event), (Report(),)
    elsewhere = event.running is None or event.running.slot != job.slot
    if elsewhere and state.phase in (_P.PROBATION, _P.CONFIRM):
        return _roll_back(state, job, "health.crashed", "the device came back on the former version")
    return state, (Work(state.phase, job), Report())


def _adopt(state: AgentState, event: Started) -> AgentState:
    """Idle, and the device runs something else than we left it with: believe the device, and say so."""
    found, known = event.running, state.running
    if _same(found, known):
        return state
    detail = f"found {_version(found) or 'no model'} running, left {_version(known) or 'no model'}"
    kind = EventKind.ROLLED_BACK if found is not None else EventKind.FAILED
    if known is None:
        kind = EventKind.SWITCHED
    state = _say(state, event.at, kind, version=_version(found), code="boot.other-version", detail=detail)
    return replace(state, running=found, previous=None)


def _stopping(state: AgentState, event: Stopping) -> Step:
    return (state, ()) if state.stopped else (replace(state, stopped=True), ())


def _connected(state: AgentState, event: Connected) -> Step:
    return replace(state, seq=state.seq), (Report(),)


def _noted(state: AgentState, event: Noted) -> Step:
    job = state.job
    counter = job.assignment.counter if job else 0
    version = job.assignment.version if job else _version(state.running)
    said = _say(state, event.at, EventKind.PHASE, counter, version, event.code, event.detail)
    return said, (Report(),)


def _envelope_refused(state: AgentState, event: EnvelopeRefused) -> Step:
    if event.envelope in (state.refused_envelope, state.envelope):
        return state, ()
    state = replace(state, refused_envelope=event.envelope)
    return _say(state, event.at, EventKind.REFUSED, code=event.code, detail=event.detail), (Report(),)


def _acked(state: AgentState, event: Acked) -> Step:
    left = tuple(item for item in state.outbox if item.seq > event.event_seq)
    return (state, ()) if len(left) == len(state.outbox) else (replace(state, outbox=left), ())


def _assigned(state: AgentState, event: Assigned) -> Step:
    assignment = event.assignment
    if assignment.counter <= state.counter:
        return state, ()
    state = replace(state, counter=assignment.counter, envelope=event.envelope)
    state = _say(state, event.at, EventKind.ASSIGNED, assignment.counter, assignment.version)
    if state.phase in (_P.SWITCH, _P.CONFIRM, _P.ROLL_BACK):
        return replace(state, pending=assignment), (Report(),)
    if state.phase is _P.PROBATION:
        return _assigned_in_probation(state, assignment)
    if state.job is not None:
        former = state.job.assignment
        state = _say(state, event.at, EventKind.FAILED, former.counter, former.version, "assignment.superseded")
    return _take(state, event.at, assignment)


def _assigned_in_probation(state: AgentState, assignment: Assignment) -> Step:
    """Two slots hold the version on probation and the one to go back to, so a third one has to wait for that."""
    job = state.job
    assert job is not None
    if assignment.sha256 == job.assignment.sha256:
        job = replace(job, assignment=assignment)
        return replace(state, job=job, pending=None), (Work(_P.PROBATION, job), Report())
    state = replace(state, pending=assignment)
    return _roll_back(state, job, "assignment.superseded", f"assignment {assignment.counter} came during probation")


def _downloaded(state: AgentState, event: Downloaded) -> Step:
    return _go(state, _P.VERIFY)


def _verified(state: AgentState, event: Verified) -> Step:
    assert state.job is not None
    job = replace(state.job, security_floor=event.security_floor)
    return _go(replace(state, job=job, previous=None), _P.INSTALL)  # the install overwrites the former version's slot


def _installed(state: AgentState, event: Installed) -> Step:
    return _go(state, _P.SELF_TEST)


def _tested(state: AgentState, event: SelfTested) -> Step:
    assert state.job is not None
    return _go(replace(state, job=replace(state.job, baseline=event.baseline)), _P.SWITCH)


def _switched(state: AgentState, event: Switched) -> Step:
    assert state.job is not None
    job = replace(state.job, switched=True)
    a = job.assignment
    now_running = Running(
        model=a.model, version=a.version, target=a.target, sha256=a.sha256, slot=job.slot, since=event.at
    )
    state = replace(state, job=job, running=now_running, previous=state.running)
    state = _say(state, event.at, EventKind.SWITCHED, a.counter, a.version)
    state, effects = _go(state, _P.PROBATION)
    return (state, effects) if state.pending is None else _assigned_in_probation(state, state.pending)


def _judged(state: AgentState, event: Judged) -> Step:
    assert state.job is not None
    if event.code:
        return _roll_back(state, state.job, event.code, event.detail)
    return _go(state, _P.CONFIRM)


def _committed(state: AgentState, event: Committed) -> Step:
    assert state.job is not None
    state = replace(state, security_floor=max(state.security_floor, state.job.security_floor))
    return _end(state, event.at, Outcome.CONFIRMED)


def _reverted(state: AgentState, event: Reverted) -> Step:
    job = state.job
    assert job is not None
    if not job.switched:
        state = replace(state, running=None) if event.lost else state
        return _end(state, event.at, Outcome.FAILED, job.code, job.detail)
    back = state.previous.model_copy(update={"since": event.at}) if state.previous and not event.lost else None
    state = replace(state, running=back, previous=None)
    return _end(state, event.at, Outcome.ROLLED_BACK, job.code, job.detail)


def _failed(state: AgentState, event: Failed) -> Step:
    assert state.job is not None
    if state.phase in (_P.SWITCH, _P.PROBATION, _P.CONFIRM):
        return _roll_back(state, state.job, event.code, event.detail)
    outcome = Outcome.REFUSED if event.refused else Outcome.FAILED
    return _end(state, event.at, outcome, event.code, event.detail)


# ------------------------------------------------------------------------------------------------- helpers


def _go(state: AgentState, phase: Phase) -> Step:
    assert state.job is not None
    return replace(state, phase=phase), (Work(phase, state.job), Report())


def _roll_back(state: AgentState, job: Job, code: str, detail: str) -> Step:
    return _go(replace(state, job=replace(job, code=code, detail=detail[:MAX_DETAIL])), _P.ROLL_BACK)


def _take(state: AgentState, at: float, assignment: Assignment) -> Step:
    """Begin with an assignment whose counter is recorded already."""
    running = state.running
    slot: Slot = "B" if running is not None and running.slot == "A" else "A"
    state = replace(state, job=Job(assignment, slot), pending=None)
    if running is not None and running.sha256 == assignment.sha256:
        return _end(state, at, Outcome.CONFIRMED)
    return _go(state, _P.DOWNLOAD)


_ENDINGS = {
    Outcome.CONFIRMED: EventKind.CONFIRMED,
    Outcome.ROLLED_BACK: EventKind.ROLLED_BACK,
    Outcome.REFUSED: EventKind.REFUSED,
    Outcome.FAILED: EventKind.FAILED,
}


def _end(state: AgentState, at: float, outcome: Outcome, code: str = "", detail: str = "") -> Step:
    """The job is over; go on with the assignment that waits, if one does."""
    assert state.job is not None
    a, detail = state.job.assignment, detail[:MAX_DETAIL]
    about = _version(state.running) if outcome is Outcome.ROLLED_BACK else a.version
    state = _say(state, at, _ENDINGS[outcome], a.counter, about, code, detail)
    result = Result(counter=a.counter, version=a.version, outcome=outcome, code=code, detail=detail, at=at)
    state = replace(state, phase=_P.IDLE, job=None, last_result=result)
    if state.pending is not None:
        return _take(state, at, state.pending)
    return state, (Rest(), Report())


def _say(
    state: AgentState,
    at: float,
    kind: EventKind,
    counter: int = 0,
    version: str = "",
    code: str = "",
    detail: str = "",
) -> AgentState:
    seq, detail = state.event_seq + 1, detail[:MAX_DETAIL]
    event = Event(seq=seq, at=at, kind=kind, counter=counter, version=version, code=code, detail=detail)
    outbox = (*state.outbox, event)
    dropped = max(0, len(outbox) - MAX_OUTBOX)
    return replace(state, event_seq=event.seq, outbox=outbox[dropped:], outbox_dropped=state.outbox_dropped + dropped)


def _version(running: Running | None) -> str:
    return running.version if running is not None else ""


def _same(one: Running | None, other: Running | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.model, one.version, one.slot, one.sha256) == (other.model, other.version, other.slot, other.sha256)


_Handler = Callable[[AgentState, Any], Step]

_ANYWHERE: Mapping[type, _Handler] = {
    Stopping: _stopping,
    Connected: _connected,
    EnvelopeRefused: _envelope_refused,
    Noted: _noted,
    Acked: _acked,
}

_HANDLERS: Mapping[type, _Handler] = {
    Booted: _booted,
    Started: _started,
    Assigned: _assigned,
    Downloaded: _downloaded,
    Verified: _verified,
    Installed: _installed,
    SelfTested: _tested,
    Switched: _switched,
    Judged: _judged,
    Committed: _committed,
    Reverted: _reverted,
    Failed: _failed,
}
