"""The audit log: who did what, in a chain where each line's hash covers the line before it.

Triggers of the database refuse UPDATE and DELETE; the chain shows if somebody with the file in hand did so anyway.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from sqlmodel import Session, col, select

from fleet_server.models import AuditRow
from flota.api.models import AuditCheck, AuditView
from flota.files import sha256_hex

GENESIS = "0" * 64
SERVER = "server"


def record(
    session: Session, actor: str, action: str, subject: str, detail: Mapping[str, object] | None = None
) -> AuditRow:
    """Append a line, in the transaction of what it tells about."""
    last = session.exec(select(AuditRow).order_by(col(AuditRow.id).desc()).limit(1)).first()
    row = AuditRow(
        at=time.time(),
        actor=actor,
        action=action,
        subject=subject,
        detail_json=json.dumps({key: str(value) for key, value in (detail or {}).items()}, sort_keys=True),
        previous_hash=last.hash if last else GENESIS,
        hash="",
    )
    row.hash = line_hash(row)
    session.add(row)
    session.flush()
    return row


def line_hash(row: AuditRow) -> str:
    """SHA-256 over the line's content and the hash before it."""
    fields = [row.previous_hash, repr(row.at), row.actor, row.action, row.subject, row.detail_json]
    return sha256_hex(json.dumps(fields).encode())


def entries(session: Session, *, after: int = 0, limit: int = 1000) -> list[AuditView]:
    """Lines after the one with the id ``after``, oldest first."""
    rows = session.exec(select(AuditRow).where(col(AuditRow.id) > after).order_by(col(AuditRow.id)).limit(limit))
    return [_view(row) for row in rows]


def newest(session: Session, *, subject: str = "", action: str = "", limit: int = 1000) -> list[AuditView]:
    """The newest ``limit`` lines, of one subject or action if given, oldest first."""
    query = select(AuditRow)
    if subject:
        query = query.where(col(AuditRow.subject) == subject)
    if action:
        query = query.where(col(AuditRow.action) == action)
    return [_view(row) for row in session.exec(query.order_by(col(AuditRow.id).desc()).limit(limit))][::-1]


def check(session: Session) -> AuditCheck:
    """Recompute the whole chain."""
    expected, count = GENESIS, 0
    for row in session.exec(select(AuditRow).order_by(col(AuditRow.id))).yield_per(1000):
        if row.previous_hash != expected or row.hash != line_hash(row):
            return AuditCheck(entries=count, intact=False, first_bad=row.id, head=expected)
        expected, count = row.hash, count + 1
    return AuditCheck(entries=count, intact=True, first_bad=None, head=expected)


def _view(row: AuditRow) -> AuditView:
    return AuditView(
        id=row.id or 0,
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        detail=json.loads(row.detail_json),
        previous_hash=row.previous_hash,
        hash=row.hash,
    )
