"""Registering, enrolling and revoking devices.

A token is 192 random bits of which the database keeps the SHA-256; it works once and not for ever. Using it up and
storing the certificate's serial is one transaction: of two devices with the same token one gets a certificate.
"""

from __future__ import annotations

import secrets
import time

from cryptography import x509
from sqlmodel import Session, col, delete

from fleet_server import audit
from fleet_server.database import Database
from fleet_server.errors import (
    CertificateRefused,
    DeviceExists,
    DeviceRevoked,
    NotFound,
    TokenExpired,
    TokenRefused,
    TokenUsed,
)
from fleet_server.models import DeviceRow, EnrolmentTokenRow, GroupRow
from flota.api.models import EnrolmentToken, NewDevice
from flota.files import sha256_hex
from flota.trust.ca import CertificateAuthority

_HINT = "register the device again for a new token: flota device add"


def register(session: Session, device: NewDevice, *, lifetime_s: float, actor: str) -> EnrolmentToken:
    """Register a device, or give one that has not enrolled yet (or was revoked) a new token.

    Raises:
        DeviceExists: A device of this name is enrolled.
    """
    now = time.time()
    row = session.get(DeviceRow, device.name)
    if row is not None and row.enrolled_at is not None and row.revoked_at is None:
        raise DeviceExists(
            f"there is a device {device.name} already", hint="choose another name, or revoke that device first"
        )
    ensure_group(session, device.group)
    row = row or DeviceRow(name=device.name, kind="", target="", group_name=device.group, created_at=now)
    row.kind, row.target, row.board = device.kind.value, device.target, device.board
    row.group_name, row.revoked_at, row.enrolled_at, row.certificate_serial = device.group, None, None, ""
    session.add(row)
    session.flush()
    token = secrets.token_urlsafe(24)
    session.exec(delete(EnrolmentTokenRow).where(col(EnrolmentTokenRow.device) == device.name))
    expires_at = now + lifetime_s
    session.add(
        EnrolmentTokenRow(
            token_hash=sha256_hex(token.encode()), device=device.name, created_at=now, expires_at=expires_at
        )
    )
    audit.record(session, actor, "device.add", device.name, {"kind": device.kind.value, "target": device.target})
    return EnrolmentToken(device=device.name, token=token, expires_at=expires_at)


def enrol(database: Database, authority: CertificateAuthority, token: str, csr_pem: str) -> tuple[str, bytes]:
    """Trade a token and a certificate request for a certificate (PEM): (device, certificate).

    A request that is refused does not use the token up.

    Raises:
        TokenRefused, TokenExpired, TokenUsed: The token gives no right to a certificate.
        RequestRefused: The request is garbled, or for another name.
    """
    with database.write() as session:
        row = _valid_token(session, token)
        certificate = authority.issue_device(csr_pem.encode(), row.device)
        device = session.get_one(DeviceRow, row.device)
        if device.revoked_at is not None:
            raise DeviceRevoked(f"{device.name} was revoked", hint=_HINT)
        row.used_at = device.enrolled_at = time.time()
        device.certificate_serial = serial_of(certificate)
        device.online, device.state_seq, device.state_at, device.state_json = False, 0, 0.0, ""
        device.telemetry_ack = device.event_ack = device.telemetry_gap = device.event_gap = 0
        session.add_all([row, device])
        audit.record(session, device.name, "device.enrol", device.name, {"serial": device.certificate_serial})
        return device.name, certificate


def revoke(database: Database, authority: CertificateAuthority, name: str, *, actor: str) -> None:
    """Refuse a device from now on; revoking it twice changes nothing.

    The database comes first: a crash between the two leaves a device that the device port refuses already, and the
    revocation list is made again at the next start.

    Raises:
        NotFound: There is no such device.
    """
    with database.write() as session:
        row = session.get(DeviceRow, name)
        if row is None:
            raise NotFound(f"there is no device {name}", hint="`flota device list` shows the devices")
        if row.revoked_at is None:
            row.revoked_at, row.online = time.time(), False
            session.add(row)
            session.exec(delete(EnrolmentTokenRow).where(col(EnrolmentTokenRow.device) == name))
            audit.record(session, actor, "device.revoke", name, {"serial": row.certificate_serial})
    authority.revoke(name)


def ensure_group(session: Session, name: str) -> None:
    """Make the group if there is none of this name."""
    if session.get(GroupRow, name) is None:
        session.add(GroupRow(name=name, created_at=time.time()))
        session.flush()


def check_certificate(session: Session, device: str, serial: str) -> None:
    """Check that a peer's certificate is the one its device has now.

    Raises:
        CertificateRefused: It is not: revoked, replaced by a later enrolment, or of no device we know.
    """
    row = session.get(DeviceRow, device)
    if row is None or row.revoked_at is not None or row.certificate_serial != serial:
        raise CertificateRefused(f"the certificate of {device} is not valid any more", hint="enrol the device again")


def serial_of(certificate_pem: bytes) -> str:
    """The serial number of a certificate in lower-case hex."""
    return f"{x509.load_pem_x509_certificate(certificate_pem).serial_number:x}"


def _valid_token(session: Session, token: str) -> EnrolmentTokenRow:
    row = session.get(EnrolmentTokenRow, sha256_hex(token.encode()))
    if row is None:
        raise TokenRefused("the enrolment token is not known", hint=_HINT)
    if row.used_at is not None:
        raise TokenUsed(f"the enrolment token of {row.device} was used already", hint=_HINT)
    if row.expires_at <= time.time():
        raise TokenExpired(f"the enrolment token of {row.device} has expired", hint=_HINT)
    return row
