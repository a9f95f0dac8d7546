"""The lease: of several servers on one database, one runs the rollouts.

A lease is a row with a holder and an end. It is taken when it is free or over, and renewed by its holder; a holder
that was killed loses it by itself.
"""

from __future__ import annotations

from sqlmodel import Session, col, delete

from fleet_server.models import LeaseRow


def acquire(session: Session, name: str, holder: str, *, now: float, lifetime_s: float) -> bool:
    """Take or renew the lease ``name``; returns whether ``holder`` has it. Run it in a write transaction."""
    row = session.get(LeaseRow, name)
    if row is not None and row.holder != holder and row.expires_at > now:
        return False
    row = row or LeaseRow(name=name, holder=holder, expires_at=0.0)
    row.holder, row.expires_at = holder, now + lifetime_s
    session.add(row)
    return True


def release(session: Session, name: str, holder: str) -> None:
    """Give the lease back, if ``holder`` has it."""
    session.exec(delete(LeaseRow).where(col(LeaseRow.name) == name, col(LeaseRow.holder) == holder))
