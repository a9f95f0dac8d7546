"""The director on a real repository and database: renewing what it signed, and going on without what is gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fleet_harness import write_bundle
from sqlmodel import Session, select

from fleet_server.assignments import Director, Order, desired
from fleet_server.config import Settings
from fleet_server.database import Database
from fleet_server.identity import enrolment
from fleet_server.main import tidy
from fleet_server.models import AssignmentRow, DeviceRow, MemberRow, TelemetryRow
from fleet_server.rollouts import orders, store
from fleet_server.rollouts.runner import Runner
from fleet_server.rollouts.state import RolloutEvent
from fleet_server.state import Fleet
from flota import release
from flota.api.models import MemberState, NewDevice, NewRollout
from flota.messages import HealthLimits, Outcome, ReportedState, Result
from flota.trust.envelope import signed_assignment
from flota.trust.errors import TrustError
from flota.trust.online import OnlineRepository

NAME = "press-1"
LIMITS = HealthLimits(min_inferences=7, max_latency_ratio=2.0, max_latency_ms=9.0)


class _Upload:
    """Takes an upload straight to the repository."""

    def __init__(self, repository: OnlineRepository) -> None:
        self._repository = repository

    def publish_release(self, targets_json: bytes, root_json: bytes | None, files: Any) -> None:
        self._repository.accept(targets_json, root_json, dict(files))


@pytest.fixture
def director(tmp_path: Path) -> Director:
    """It has motion 1.0.0 and 1.1.0 to assign."""
    repository = OnlineRepository(tmp_path / "trust")
    publisher = tmp_path / "publisher"
    release.init_publisher(publisher, repository.server_keys())
    for version in ("1.0.0", "1.1.0"):
        release.add_release(publisher, [write_bundle(tmp_path / "bundles", version)])
    release.publish(publisher, _Upload(repository))
    return Director(repository, Settings(assignment_s=1000.0))


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A transaction on a database with one enrolled device."""
    database = Database(tmp_path / "fleet.sqlite")
    database.migrate()
    with database.write() as opened:
        enrolment.register(opened, NewDevice(name=NAME), lifetime_s=60, actor="test")
        opened.get_one(DeviceRow, NAME).enrolled_at = time.time()
        yield opened
    database.close()


def assign(session: Session, director: Director, version: str = "1.0.0") -> AssignmentRow:
    device = session.get_one(DeviceRow, NAME)
    bundle = director.bundle_for(device, director.bundles("motion", version))
    return director.assign(session, device, bundle, Order("rollout", 33.0, LIMITS))


def age(session: Session, row: AssignmentRow) -> None:
    row.expires_at = time.time() + 10
    session.add(row)
    session.flush()


def reports(session: Session, director: Director, counter: int, outcome: Outcome, version: str = "") -> None:
    device = session.get_one(DeviceRow, NAME)
    bundle = director.bundles("motion", version)["linux-litert"] if version else None
    state = ReportedState(device=NAME, seq=1, at=1.0, assignment_counter=counter)
    running = bundle and {
        "model": "motion",
        "version": version,
        "target": "linux-litert",
        "sha256": bundle.sha256,
        "slot": "A",
        "since": 1.0,
    }
    result = Result(counter=counter, version=version, outcome=outcome, at=1.0)
    full = {**state.model_dump(mode="json"), "running": running, "last_result": result.model_dump(mode="json")}
    device.state_json = ReportedState.model_validate(full).model_dump_json()
    session.add(device)


def test_a_renewed_assignment_asks_for_the_same(session: Session, director: Director) -> None:
    row = assign(session, director)
    assert director.renew(session) == 0
    age(session, row)
    assert director.renew(session) == 1
    before, renewed = signed_assignment(row.envelope), desired(session, NAME)
    assert renewed is not None
    after = signed_assignment(renewed.envelope)
    times = {"issued_at": 0.0, "expires_at": 0.0, "counter": 0}
    assert after.model_copy(update=times) == before.model_copy(update=times)
    assert (after.counter, renewed.counter) == (before.counter + 1, before.counter + 1)
    assert after.expires_at > time.time() + 900


def test_what_a_device_rolled_back_is_not_assigned_anew(session: Session, director: Director) -> None:
    row = assign(session, director)
    age(session, row)
    reports(session, director, row.counter, Outcome.ROLLED_BACK)
    assert director.renew(session) == 0
    reports(session, director, row.counter, Outcome.CONFIRMED)
    assert director.renew(session) == 1


def test_a_release_that_is_not_listed_any_more_keeps_nothing_else_from_renewal(
    session: Session, director: Director
) -> None:
    row = assign(session, director)
    age(session, row)
    row.path = "motion/0.9.0/motion-0.9.0-linux-litert.flota"
    session.add(row)
    assert director.renew(session) == 0


def test_a_rollout_follows_the_renewal_of_its_assignment(session: Session, director: Director) -> None:
    order = NewRollout(model="motion", version="1.0.0", devices=(NAME,))
    identity = orders.create(session, order, director, actor="test")
    store.advance(session, identity, director, time.time())
    row = desired(session, NAME)
    assert row is not None
    age(session, row)
    assert director.renew(session) == 1
    reports(session, director, row.counter + 1, Outcome.CONFIRMED, "1.0.0")
    store.advance(session, identity, director, time.time())
    member = session.exec(select(MemberRow)).one()
    assert (member.state, member.code) == (MemberState.SUCCEEDED.value, "")


def start(session: Session, director: Director, version: str) -> int:
    order = NewRollout(model="motion", version=version, devices=(NAME,), limits=LIMITS)
    identity = orders.create(session, order, director, actor="test")
    store.advance(session, identity, director, time.time())
    return identity


def test_the_way_back_is_not_measured_by_the_version_that_is_taken_back(session: Session, director: Director) -> None:
    reports(session, director, 0, Outcome.CONFIRMED, "1.0.0")
    identity = start(session, director, "1.1.0")
    orders.change(session, identity, RolloutEvent.ABORT, actor="test")
    store.advance(session, identity, director, time.time())
    row = desired(session, NAME)
    assert row is not None
    back = signed_assignment(row.envelope)
    assert (back.reason, back.version) == ("rollback", "1.0.0")
    assert back.limits == HealthLimits(min_inferences=LIMITS.min_inferences, max_error_rate=LIMITS.max_error_rate)


def test_what_a_device_is_on_its_way_back_from_is_nothing_to_go_back_to(session: Session, director: Director) -> None:
    reports(session, director, 0, Outcome.CONFIRMED, "1.0.0")
    identity = start(session, director, "1.1.0")
    reports(session, director, 1, Outcome.CONFIRMED, "1.1.0")
    orders.change(session, identity, RolloutEvent.ABORT, actor="test")
    store.advance(session, identity, director, time.time())
    later = start(session, director, "1.1.0")  # while the device still runs 1.1.0
    member = session.exec(select(MemberRow).where(MemberRow.rollout_id == later)).one()
    assert (member.counter, member.previous_version) == (3, "1.0.0")


def test_a_rollout_that_cannot_go_on_holds_up_no_other(tmp_path: Path, director: Director) -> None:
    database = Database(tmp_path / "fleet.sqlite")
    database.migrate()
    names = ("press-1", "press-2")
    with database.write() as session:
        for name in names:
            enrolment.register(session, NewDevice(name=name), lifetime_s=60, actor="test")
            order = NewRollout(model="motion", version="1.0.0", devices=(name,))
            orders.create(session, order, director, actor="test")
        first = session.exec(select(MemberRow).where(MemberRow.device == names[0])).one()
        first.path = "motion/0.9.0/motion-0.9.0-linux-litert.flota"  # no release lists it any more
        session.add(first)

    async def step() -> bool:
        return Runner(database, director, Settings(), "test", asyncio.Event().wait).step()  # type: ignore[arg-type]

    assert asyncio.run(step())
    with database.read() as session:
        found = {row.device: row.state for row in session.exec(select(MemberRow))}
    database.close()
    assert found == {names[0]: MemberState.WAITING.value, names[1]: MemberState.ASSIGNED.value}


def test_metadata_that_cannot_be_signed_keeps_no_old_readings(tmp_path: Path, director: Director) -> None:
    database = Database(tmp_path / "fleet.sqlite")
    database.migrate()
    with database.write() as session:
        enrolment.register(session, NewDevice(name=NAME), lifetime_s=60, actor="test")
        session.add(TelemetryRow(device=NAME, seq=1, at=1.0, name="x", value=1.0))
    (tmp_path / "trust" / "metadata" / "commit.json").write_text("damaged")
    with pytest.raises(TrustError):
        director._repository.refresh()
    fleet = SimpleNamespace(
        database=database,
        repository=director._repository,
        director=director,
        config=SimpleNamespace(settings=Settings()),
    )
    tidy(cast("Fleet", fleet))
    with database.read() as session:
        assert session.exec(select(TelemetryRow)).all() == []
    database.close()
