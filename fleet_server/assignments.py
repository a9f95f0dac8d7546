"""The director: it turns «device D shall run release R» into a signed, numbered row, and finds what to name in it.

An assignment is signed once, in the transaction that counts the device's counter up, and published from the row until
the broker has it. A crash in between publishes the same bytes again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from securesystemslib.signer import Signer
from sqlalchemy import func
from sqlmodel import Session, col, select, update
from sqlmodel.sql.expression import SelectOfScalar

from fleet_server.config import Settings
from fleet_server.errors import NotFound, RolloutRefused
from fleet_server.models import AssignmentRow, DeviceRow, MemberRow
from flota.api.models import MemberState
from flota.messages import Assignment, HealthLimits, Outcome, ReportedState
from flota.trust.envelope import sign_assignment, signed_assignment
from flota.trust.metadata import TargetInfo
from flota.trust.online import OnlineRepository

Reason = Literal["rollout", "rollback", "manual"]


@dataclass(frozen=True, slots=True)
class Order:
    """What a device shall be told beside the bundle itself."""

    reason: Reason
    probation_s: float
    limits: HealthLimits
    rollout_id: int | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A signed assignment the broker does not have yet."""

    device: str
    counter: int
    envelope: bytes


class Director:
    """Signs assignments to what the repository has published."""

    def __init__(self, repository: OnlineRepository, settings: Settings) -> None:
        self._repository = repository
        self._settings = settings

    def assign(self, session: Session, device: DeviceRow, bundle: TargetInfo, order: Order) -> AssignmentRow:
        """Sign the next assignment of ``device`` and store it, to be published when the transaction is done."""
        assert bundle.custom is not None
        now = time.time()
        device.counter += 1
        assignment = Assignment(
            device=device.name,
            counter=device.counter,
            issued_at=now,
            expires_at=now + self._settings.assignment_s,
            model=bundle.custom.model,
            version=bundle.custom.version,
            target=bundle.custom.target,
            path=bundle.path,
            sha256=bundle.sha256,
            size=bundle.size,
            rollout=str(order.rollout_id or ""),
            reason=order.reason,
            probation_s=order.probation_s,
            limits=order.limits,
        )
        row = _row(assignment, order.rollout_id, self._repository.director_signer())
        session.add_all([device, row])
        session.flush()
        return row

    def bundle(self, path: str) -> TargetInfo:
        """A published bundle. Raises UnknownTarget when no release lists it."""
        return self._repository.target(path)

    def bundles(self, model: str, version: str) -> dict[str, TargetInfo]:
        """The bundles of a release by target.

        Raises:
            NotFound: There is no such release.
        """
        found = {
            info.custom.target: info
            for info in self._repository.targets()
            if info.custom and (info.custom.model, info.custom.version) == (model, version)
        }
        if not found:
            raise NotFound(f"there is no release {model} {version}", hint="publish it first: flota release publish")
        return found

    def bundle_for(self, device: DeviceRow, bundles: Mapping[str, TargetInfo]) -> TargetInfo:
        """The bundle of a release that suits a device.

        Raises:
            RolloutRefused: There is none.
        """
        if device.target not in bundles:
            raise RolloutRefused(
                f"{device.name} needs a bundle for {device.target}, the release has {', '.join(sorted(bundles))}",
                hint="optimize the model for that target and publish it, or leave the device out",
            )
        return bundles[device.target]

    def bundle_of_digest(self, sha256: str) -> TargetInfo | None:
        """The published bundle with this digest, if there is one."""
        return next((info for info in self._repository.targets() if info.custom and info.sha256 == sha256), None)

    def renew(self, session: Session) -> int:
        """Sign anew every desired state whose validity is half over; returns how many.

        What a device refused or rolled back is left to expire: signing it again would have it tried again.
        """
        soon = time.time() + self._settings.assignment_s / 2
        due = session.exec(_desired().where(col(AssignmentRow.expires_at) < soon)).all()
        return sum(self._renew_one(session, row) for row in due)

    def _renew_one(self, session: Session, row: AssignmentRow) -> bool:
        device = session.get_one(DeviceRow, row.device)
        listed = any(info.path == row.path for info in self._repository.targets())
        if not listed or _ended_badly(device, row.counter):
            return False
        before = signed_assignment(row.envelope)
        now = time.time()
        device.counter += 1
        after = before.model_copy(
            update={"counter": device.counter, "issued_at": now, "expires_at": now + self._settings.assignment_s}
        )
        session.add_all([device, _row(after, row.rollout_id, self._repository.director_signer())])
        _follow(session, row.device, row.counter, after.counter)
        session.flush()
        return True


def _ended_badly(device: DeviceRow, counter: int) -> bool:
    if not device.state_json:
        return False
    result = ReportedState.model_validate_json(device.state_json).last_result
    return result is not None and result.counter == counter and result.outcome is not Outcome.CONFIRMED


def _follow(session: Session, device: str, before: int, after: int) -> None:
    """Rollouts wait for what the device reports for the new counter from now on: it is the same order."""
    for state, column in ((MemberState.ASSIGNED, "counter"), (MemberState.REVERTING, "revert_counter")):
        for member in session.exec(select(MemberRow).where(MemberRow.device == device, MemberRow.state == state.value)):
            if getattr(member, column) == before:
                setattr(member, column, after)
                session.add(member)


def desired(session: Session, device: str) -> AssignmentRow | None:
    """The desired state of a device: its assignment with the highest counter."""
    return session.exec(
        select(AssignmentRow)
        .where(col(AssignmentRow.device) == device)
        .order_by(col(AssignmentRow.counter).desc())
        .limit(1)
    ).first()


def desired_of_all(session: Session) -> dict[str, AssignmentRow]:
    """The desired state of every device that has one."""
    return {row.device: row for row in session.exec(_desired())}


def unpublished(session: Session) -> list[Outgoing]:
    """Desired states the broker does not have; superseded assignments are left out, as retained ones would be."""
    rows = session.exec(_desired().where(col(AssignmentRow.published_at).is_(None)))
    return [Outgoing(row.device, row.counter, row.envelope) for row in rows]


def mark_published(session: Session, device: str, counter: int) -> None:
    """The broker has the assignment with this counter, so it needs none before it either."""
    session.exec(
        update(AssignmentRow)
        .where(
            col(AssignmentRow.device) == device,
            col(AssignmentRow.counter) <= counter,
            col(AssignmentRow.published_at).is_(None),
        )
        .values(published_at=time.time())
    )


def offer_again(session: Session, device: str, *, beyond: int = -1) -> bool:
    """Publish a device's desired state again, if its counter is over ``beyond``; returns whether it will be.

    What is retained at the broker may not be what we put there, and a device that was away then finds only that.
    """
    row = desired(session, device)
    if row is None or row.counter <= beyond:
        return False
    row.published_at = None
    session.add(row)
    return True


def mark_all_unpublished(session: Session) -> None:
    """The broker may have lost everything retained: publish every desired state again."""
    newest = {(row.device, row.counter) for row in session.exec(_desired())}
    for device, counter in newest:
        session.exec(
            update(AssignmentRow)
            .where(col(AssignmentRow.device) == device, col(AssignmentRow.counter) == counter)
            .values(published_at=None)
        )


def _desired() -> SelectOfScalar[AssignmentRow]:
    newest = (
        select(col(AssignmentRow.device), func.max(AssignmentRow.counter).label("counter"))
        .group_by(col(AssignmentRow.device))
        .subquery()
    )
    return (
        select(AssignmentRow)
        .join(
            newest,
            (col(AssignmentRow.device) == newest.c.device) & (col(AssignmentRow.counter) == newest.c.counter),
        )
        .join(DeviceRow, col(DeviceRow.name) == col(AssignmentRow.device))
        .where(col(DeviceRow.revoked_at).is_(None))
        .order_by(col(AssignmentRow.device))
    )


def _row(assignment: Assignment, rollout_id: int | None, signer: Signer) -> AssignmentRow:
    return AssignmentRow(
        device=assignment.device,
        counter=assignment.counter,
        rollout_id=rollout_id,
        reason=assignment.reason,
        model=assignment.model,
        version=assignment.version,
        path=assignment.path,
        sha256=assignment.sha256,
        issued_at=assignment.issued_at,
        expires_at=assignment.expires_at,
        envelope=sign_assignment(assignment, signer),
    )
