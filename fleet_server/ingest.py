"""What devices say, into the database: states, telemetry, events. Each call is one transaction of the caller's.

At-least-once delivery and reordering are expected: a reading or event that is stored already is not stored again, a
state older than the one stored is dropped, and what comes from a device that was revoked is not believed.

Acknowledgements: the device may drop everything up to the number we send. A batch that does not start where the last
one ended is stored, but acknowledged only when the device sends it a second time: it then has nothing older.

Whoever holds the broker can put anything in the place of a retained assignment. The device refuses it, and lacks the
genuine one: when it says so, or reports a counter under that of its desired state, that is published again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import func
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import Session, col, delete, select

from fleet_server.assignments import offer_again
from fleet_server.config import Settings
from fleet_server.models import DeviceRow, EventRow, TelemetryRow
from flota.messages import Ack, Event, EventBatch, EventKind, MessageError, ReportedState, TelemetryBatch

_DAY_S = 86_400.0
_ROWS_A_STATEMENT = 100
"""SQLite's older limit of 999 variables, at seven or eight a row."""

EVENTS_A_DEVICE = 10_000
"""Events kept of each device; an update leaves fewer than ten."""

Stream = Literal["telemetry", "event"]


@dataclass(frozen=True, slots=True)
class Stored:
    """What came of a batch: how many rows were new, and what to acknowledge (None: nothing)."""

    new: int
    ack: Ack | None


def store_state(session: Session, device: str, state: ReportedState) -> bool:
    """Store a reported state; returns whether it was newer than the one we had.

    Raises:
        MessageError: The state is another device's.
    """
    row = _device(session, device, state.device)
    if row is None:
        return False
    if not state.online and state.seq == 0:  # the last will: it knows nothing but that the device is gone
        row.online = False
        session.add(row)
        return True
    if row.state_json and state.seq <= row.state_seq and state.at <= row.state_at:
        return False
    row.state_seq, row.state_at, row.state_json = state.seq, state.at, state.model_dump_json()
    row.online, row.last_seen_at = state.online, time.time()
    session.add(row)
    if state.online:
        offer_again(session, device, beyond=state.assignment_counter)
    return True


def store_telemetry(session: Session, device: str, batch: TelemetryBatch) -> Stored:
    """Store readings.

    Raises:
        MessageError: The batch is another device's.
    """
    row = _device(session, device, batch.device)
    if row is None or not batch.points:
        return Stored(0, None)
    values = [{"device": device, **point.model_dump()} for point in batch.points]
    new = _insert(session, TelemetryRow, values)
    known = _acknowledge(row, "telemetry", [point.seq for point in batch.points])
    session.add(row)
    return Stored(new, _ack(row) if known else None)


def store_events(session: Session, device: str, batch: EventBatch) -> Stored:
    """Store events.

    Raises:
        MessageError: The batch is another device's.
    """
    row = _device(session, device, batch.device)
    if row is None or not batch.events:
        return Stored(0, None)
    values = [{"device": device, **event.model_dump(mode="json")} for event in batch.events]
    new = _insert(session, EventRow, values)
    if new and any(_refuses_envelope(event) for event in batch.events):
        offer_again(session, device)
    known = _acknowledge(row, "event", [event.seq for event in batch.events])
    session.add(row)
    return Stored(new, _ack(row) if known else None)


def enforce_retention(session: Session, settings: Settings) -> int:
    """Delete readings that are too old or too many, and of each device all but the ``EVENTS_A_DEVICE`` newest events.

    Returns:
        How many rows.
    """
    return _forget_readings(session, settings) + _forget_events(session)


def _forget_readings(session: Session, settings: Settings) -> int:
    before = session.exec(select(func.count()).select_from(TelemetryRow)).one()
    oldest = time.time() - settings.telemetry_days * _DAY_S
    session.exec(delete(TelemetryRow).where(col(TelemetryRow.at) < oldest))
    limit = (
        select(col(TelemetryRow.at)).order_by(col(TelemetryRow.at).desc()).offset(settings.telemetry_max_rows).limit(1)
    )
    edge = session.exec(limit).first()
    if edge is not None:
        session.exec(delete(TelemetryRow).where(col(TelemetryRow.at) <= edge))
    return before - session.exec(select(func.count()).select_from(TelemetryRow)).one()


def _forget_events(session: Session) -> int:
    """By device and sequence number: no device's clock or chatter costs another one its events."""
    forgotten = 0
    counts = select(col(EventRow.device)).group_by(col(EventRow.device)).having(func.count() > EVENTS_A_DEVICE)
    for device in session.exec(counts).all():
        own = select(col(EventRow.seq)).where(col(EventRow.device) == device).order_by(col(EventRow.seq).desc())
        edge = session.exec(own.offset(EVENTS_A_DEVICE).limit(1)).one()
        gone = delete(EventRow).where(col(EventRow.device) == device, col(EventRow.seq) <= edge)
        forgotten += session.exec(gone).rowcount
    return forgotten


def _device(session: Session, device: str, claimed: str) -> DeviceRow | None:
    if claimed != device:
        raise MessageError(f"{device} sent a message in the name of {claimed}")
    row = session.get(DeviceRow, device)
    return row if row is not None and row.enrolled_at is not None and row.revoked_at is None else None


def _refuses_envelope(event: Event) -> bool:
    """Whether bytes on the assign topic were refused, rather than the bundle that an assignment of ours names."""
    return event.kind is EventKind.REFUSED and event.counter == 0


def _insert(session: Session, table: type[TelemetryRow] | type[EventRow], values: Sequence[dict[str, object]]) -> int:
    new = 0
    for start in range(0, len(values), _ROWS_A_STATEMENT):
        rows = values[start : start + _ROWS_A_STATEMENT]
        statement = insert(table).values(rows).on_conflict_do_nothing(index_elements=["device", "seq"])
        new += session.connection().execute(statement).rowcount
    return new


def _ack(row: DeviceRow) -> Ack:
    return Ack(telemetry=row.telemetry_ack, events=row.event_ack)


def _acknowledge(row: DeviceRow, stream: Stream, sequence: Sequence[int]) -> bool:
    """Move the stream's acknowledgement on; False where the batch left a gap behind it."""
    first, last = min(sequence), max(sequence)
    acked, gap = (row.telemetry_ack, row.telemetry_gap) if stream == "telemetry" else (row.event_ack, row.event_gap)
    if acked == 0 or first <= acked + 1 or first == gap:
        acked, gap = max(acked, last), 0
    else:
        gap = first
    if stream == "telemetry":
        row.telemetry_ack, row.telemetry_gap = acked, gap
    else:
        row.event_ack, row.event_gap = acked, gap
    return not gap
