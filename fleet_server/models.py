"""The tables. What travels over HTTP is in :mod:`flota.api.models`; nothing here leaves the server as it is.

Times are UTC seconds since the epoch. Secrets (tokens, passwords) are stored as hashes only.
"""

from __future__ import annotations

from sqlalchemy import Index, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel


class UserRow(SQLModel, table=True):
    """An operator's account."""

    __tablename__ = "user"

    name: str = Field(primary_key=True)
    password_hash: str
    role: str
    created_at: float
    disabled: bool = False


class SessionRow(SQLModel, table=True):
    """A sign-in; the token itself is known to its bearer only."""

    __tablename__ = "session"

    token_hash: str = Field(primary_key=True)
    user_name: str = Field(foreign_key="user.name", index=True)
    created_at: float
    expires_at: float = Field(index=True)


class LoginFailureRow(SQLModel, table=True):
    """Failed sign-ins in a row for one name from one address."""

    __tablename__ = "login_failure"

    key: str = Field(primary_key=True)
    failures: int
    last_at: float


class GroupRow(SQLModel, table=True):
    """A named set of devices."""

    __tablename__ = "device_group"

    name: str = Field(primary_key=True)
    description: str = ""
    created_at: float


class DeviceRow(SQLModel, table=True):
    """A device and the last state it reported. ``counter`` is the highest assignment counter given out."""

    __tablename__ = "device"

    name: str = Field(primary_key=True)
    kind: str
    target: str
    board: str = ""
    group_name: str = Field(foreign_key="device_group.name", index=True)
    created_at: float
    enrolled_at: float | None = None
    revoked_at: float | None = None
    certificate_serial: str = ""
    counter: int = 0
    online: bool = False
    last_seen_at: float | None = None
    state_seq: int = 0
    state_at: float = 0.0
    state_json: str = ""
    telemetry_ack: int = 0
    event_ack: int = 0
    telemetry_gap: int = 0
    event_gap: int = 0


class EnrolmentTokenRow(SQLModel, table=True):
    """A one-time token; registering a device again replaces the tokens it had."""

    __tablename__ = "enrolment_token"

    token_hash: str = Field(primary_key=True)
    device: str = Field(foreign_key="device.name", index=True)
    created_at: float
    expires_at: float
    used_at: float | None = None


class AssignmentRow(SQLModel, table=True):
    """An assignment as it was signed; the one with the highest counter is the device's desired state.

    ``published_at`` is None until the broker took it: what is None is published again, byte for byte.
    """

    __tablename__ = "assignment"

    device: str = Field(foreign_key="device.name", primary_key=True)
    counter: int = Field(primary_key=True)
    rollout_id: int | None = Field(default=None, foreign_key="rollout.id", index=True)
    reason: str
    model: str
    version: str
    path: str
    sha256: str
    issued_at: float
    expires_at: float
    envelope: bytes = Field(sa_type=LargeBinary)
    published_at: float | None = Field(default=None, index=True)


class RolloutRow(SQLModel, table=True):
    """A rollout: what was asked for, and where it stands."""

    __tablename__ = "rollout"

    id: int | None = Field(default=None, primary_key=True)
    model: str
    version: str
    status: str = Field(index=True)
    wave: int = 0
    waves: int
    wave_completed_at: float | None = None
    success_threshold: float
    max_failures: int
    probation_s: float
    wave_soak_s: float
    timeout_s: float
    limits_json: str
    rollback: bool = True
    reason: str = ""
    created_by: str
    created_at: float
    finished_at: float | None = None


class MemberRow(SQLModel, table=True):
    """A device in a rollout. ``previous_*`` is what it ran when the rollout came to it; empty: nothing."""

    __tablename__ = "rollout_member"

    rollout_id: int = Field(foreign_key="rollout.id", primary_key=True)
    device: str = Field(foreign_key="device.name", primary_key=True, index=True)
    position: int
    wave: int
    state: str
    path: str
    counter: int = 0
    previous_model: str = ""
    previous_version: str = ""
    previous_path: str = ""
    revert_counter: int = 0
    assigned_at: float | None = None
    finished_at: float | None = None
    code: str = ""
    detail: str = ""


class TelemetryRow(SQLModel, table=True):
    """One reading."""

    __tablename__ = "telemetry"
    __table_args__ = (Index("ix_telemetry_name_at", "name", "at"),)

    device: str = Field(foreign_key="device.name", primary_key=True)
    seq: int = Field(primary_key=True)
    at: float = Field(index=True)
    name: str
    value: float
    version: str = ""


class EventRow(SQLModel, table=True):
    """One event."""

    __tablename__ = "event"

    device: str = Field(foreign_key="device.name", primary_key=True)
    seq: int = Field(primary_key=True)
    at: float = Field(index=True)
    kind: str
    counter: int
    version: str
    code: str
    detail: str


class AuditRow(SQLModel, table=True):
    """One line of the audit log. Triggers refuse to change or delete it."""

    __tablename__ = "audit"
    __table_args__ = (UniqueConstraint("previous_hash", name="uq_audit_previous_hash"),)

    id: int | None = Field(default=None, primary_key=True)
    at: float
    actor: str
    action: str
    subject: str
    detail_json: str
    previous_hash: str
    hash: str


class LeaseRow(SQLModel, table=True):
    """Who runs a job that only one replica may run."""

    __tablename__ = "lease"

    name: str = Field(primary_key=True)
    holder: str
    expires_at: float
