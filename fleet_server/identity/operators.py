"""Accounts, sign-in and sessions.

Passwords are argon2id hashes; a session token is 256 random bits of which the database keeps the SHA-256. After a few
failures in a row for one name from one address, further tries are refused for a while, the right password included.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlmodel import Session, col, delete, select

from fleet_server import audit
from fleet_server.config import Settings
from fleet_server.database import Database
from fleet_server.errors import Throttled, Unauthenticated, UserExists, WrongPassword
from fleet_server.models import LoginFailureRow, SessionRow, UserRow
from flota.api.models import NewUser, Role, User
from flota.api.models import Session as SessionAnswer
from flota.files import sha256_hex

_HASHER = PasswordHasher()
_NOBODY = _HASHER.hash(secrets.token_hex())
"""Verified against when the name is unknown, so that an unknown name takes as long as a wrong password."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who makes a request."""

    name: str
    role: Role

    @property
    def may_change(self) -> bool:
        """Whether the role allows more than looking."""
        return self.role is Role.OPERATOR


def add_user(session: Session, user: NewUser, *, actor: str) -> User:
    """Make an account.

    Raises:
        UserExists: The name is taken.
    """
    if session.get(UserRow, user.name):
        raise UserExists(f"there is a user {user.name} already", hint="choose another name")
    row = UserRow(
        name=user.name, password_hash=_HASHER.hash(user.password), role=user.role.value, created_at=time.time()
    )
    session.add(row)
    audit.record(session, actor, "user.add", user.name, {"role": user.role.value})
    return _view(row)


def users(session: Session) -> list[User]:
    """Every account, by name."""
    return [_view(row) for row in session.exec(select(UserRow).order_by(UserRow.name))]


def user(session: Session, name: str) -> User:
    """One account, which exists."""
    return _view(session.get_one(UserRow, name))


def sign_in(database: Database, settings: Settings, name: str, password: str, address: str) -> SessionAnswer:
    """Check a password and open a session.

    The check itself takes long on purpose, so it happens outside of any transaction.

    Raises:
        WrongPassword: Name and password do not belong together, or the account is disabled.
        Throttled: Too many failures before.
    """
    row = _checked(database, settings, name, password, address)
    now = time.time()
    with database.write() as session:
        session.exec(delete(SessionRow).where(col(SessionRow.expires_at) < now))
        answer = _open_session(session, row, settings.session_s, now)
        audit.record(session, name, "session.open", name, {"address": address})
    return answer


def check_password(database: Database, settings: Settings, name: str, password: str, address: str) -> Operator:
    """Whose name and password these are, without a session: a scraper sends them every few seconds, for ever.

    Raises:
        WrongPassword, Throttled: As :func:`sign_in` does.
    """
    row = _checked(database, settings, name, password, address)
    return Operator(row.name, Role(row.role))


def _checked(database: Database, settings: Settings, name: str, password: str, address: str) -> UserRow:
    key, now = f"{name}|{address}", time.time()
    with database.read() as session:
        failure = session.get(LoginFailureRow, key)
        _check_throttle(failure, settings, now)
        row = session.get(UserRow, name)
        known = row.password_hash if row and not row.disabled else _NOBODY
    if not _matches(known, password) or row is None:
        with database.write() as session:
            _count_failure(session, key, now)
            audit.record(session, name, "session.refused", name, {"address": address})
        raise WrongPassword("user name or password is wrong", hint="check both; the password was not changed")
    if failure is not None:
        with database.write() as session:
            session.exec(delete(LoginFailureRow).where(col(LoginFailureRow.key) == key))
    return row


def operator_of(session: Session, token: str) -> Operator:
    """Whose session a token is.

    Raises:
        Unauthenticated: Nobody's, or not any more.
    """
    row = session.get(SessionRow, sha256_hex(token.encode()))
    if row is None or row.expires_at <= time.time():
        raise Unauthenticated("the session is unknown or over", hint="sign in again: flota server login")
    account = session.get(UserRow, row.user_name)
    if account is None or account.disabled:
        raise Unauthenticated("the account is disabled", hint="ask an operator of the fleet")
    return Operator(account.name, Role(account.role))


def sign_out(session: Session, token: str) -> None:
    """End a session; an unknown one is ended already."""
    session.exec(delete(SessionRow).where(col(SessionRow.token_hash) == sha256_hex(token.encode())))


def _open_session(session: Session, row: UserRow, lifetime_s: float, now: float) -> SessionAnswer:
    token = secrets.token_urlsafe(32)
    expires_at = now + lifetime_s
    session.add(
        SessionRow(token_hash=sha256_hex(token.encode()), user_name=row.name, created_at=now, expires_at=expires_at)
    )
    return SessionAnswer(token=token, expires_at=expires_at, username=row.name, role=Role(row.role))


def _check_throttle(failure: LoginFailureRow | None, settings: Settings, now: float) -> None:
    if failure is None or failure.failures < settings.login_failures:
        return
    left = failure.last_at + settings.login_block_s - now
    if left > 0:
        raise Throttled("too many failed sign-ins", hint=f"wait {left:.0f} s, then try again")


def _count_failure(session: Session, key: str, now: float) -> None:
    row = session.get(LoginFailureRow, key) or LoginFailureRow(key=key, failures=0, last_at=now)
    row.failures, row.last_at = row.failures + 1, now
    session.add(row)


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _view(row: UserRow) -> User:
    return User(name=row.name, role=Role(row.role), created_at=row.created_at, disabled=row.disabled)
