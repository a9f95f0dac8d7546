"""Parts of the server on a real database, without a process: tokens, ingest, audit, lease, migrations, ports, init."""

from __future__ import annotations

import io
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlmodel import Session
from starlette.datastructures import UploadFile

from fleet_server import assignments, audit, ingest, views
from fleet_server.api import releases
from fleet_server.config import Settings, load_config
from fleet_server.database import Database, alembic_config
from fleet_server.errors import DatabaseFailed, PortInUse, ServerExists, TokenExpired, TokenUsed
from fleet_server.identity import enrolment
from fleet_server.listeners import open_socket
from fleet_server.models import AssignmentRow, AuditRow, DeviceRow
from fleet_server.rollouts import lease
from fleet_server.setup import init_server
from flota.api.models import NewDevice, NewUser
from flota.cli import run
from flota.errors import MissingTool, StorageError
from flota.messages import Event, EventBatch, EventKind, MessageError, ReportedState, TelemetryBatch, TelemetryPoint
from flota.trust.ca import CertificateAuthority, make_csr

NAME = "press-1"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "fleet.sqlite")
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def enrolled(database: Database) -> Database:
    """A database with one enrolled device."""
    with database.write() as session:
        enrolment.register(session, NewDevice(name=NAME), lifetime_s=60, actor="test")
        session.get_one(DeviceRow, NAME).enrolled_at = time.time()
    return database


def points(*numbers: int) -> TelemetryBatch:
    return TelemetryBatch(
        device=NAME, points=tuple(TelemetryPoint(seq=n, at=time.time(), name="x", value=1.0) for n in numbers)
    )


def test_the_migrations_make_exactly_the_models(database: Database) -> None:
    config = alembic_config()
    with database._writer.connect() as connection:
        config.attributes["connection"] = connection
        command.check(config)
    database.migrate()


def test_a_damaged_database_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "fleet.sqlite"
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(DatabaseFailed) as failed:
        Database(path).migrate()
    assert failed.value.hint


def test_an_expired_token_gives_no_certificate(database: Database, tmp_path: Path) -> None:
    authority = CertificateAuthority.create(tmp_path / "ca")
    with database.write() as session:
        token = enrolment.register(session, NewDevice(name=NAME), lifetime_s=-1, actor="test").token
    with pytest.raises(TokenExpired) as refused:
        enrolment.enrol(database, authority, token, make_csr(NAME)[1].decode())
    assert refused.value.hint


def test_of_many_with_one_token_one_gets_a_certificate(database: Database, tmp_path: Path) -> None:
    authority = CertificateAuthority.create(tmp_path / "ca")
    with database.write() as session:
        token = enrolment.register(session, NewDevice(name=NAME), lifetime_s=60, actor="test").token
    results: list[object] = []

    def attempt() -> None:
        try:
            results.append(enrolment.enrol(database, authority, token, make_csr(NAME)[1].decode())[0])
        except TokenUsed as error:
            results.append(error.code)

    threads = [threading.Thread(target=attempt) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == ["enrol.token-used"] * 5 + [NAME]


def test_a_batch_behind_a_gap_is_stored_but_acknowledged_only_the_second_time(enrolled: Database) -> None:
    def send(*numbers: int) -> tuple[int, int | None]:
        with enrolled.write() as session:
            stored = ingest.store_telemetry(session, NAME, points(*numbers))
        return stored.new, stored.ack.telemetry if stored.ack else None

    assert send(10, 11) == (2, 11)
    assert send(12) == (1, 12)
    assert send(20, 21) == (2, None)
    assert send(13, 14) == (2, 14)
    assert send(20, 21) == (0, None)
    assert send(20, 21) == (0, 21)
    assert send(10, 11) == (0, 21)


def test_an_older_state_does_not_replace_a_newer_one(enrolled: Database) -> None:
    def send(seq: int, at: float, *, online: bool = True) -> bool:
        with enrolled.write() as session:
            return ingest.store_state(session, NAME, ReportedState(device=NAME, seq=seq, at=at, online=online))

    assert send(5, 100.0)
    assert not send(4, 99.0)
    assert not send(5, 100.0)
    assert send(0, 50.0, online=False)
    with enrolled.read() as session:
        view = views.device_view(session, NAME)
        assert (view.online, view.reported.seq if view.reported else None) == (False, 5)
    assert send(5, 101.0)


def test_messages_in_the_name_of_another_are_refused(enrolled: Database) -> None:
    with enrolled.write() as session, pytest.raises(MessageError):
        ingest.store_state(session, NAME, ReportedState(device="other", seq=1, at=1.0))


def assigned(session: Session, counter: int) -> None:
    session.add(
        AssignmentRow(
            device=NAME,
            counter=counter,
            reason="manual",
            model="motion",
            version="1.0.0",
            path="motion/1.0.0/x.flota",
            sha256="0" * 64,
            issued_at=0.0,
            expires_at=1e12,
            envelope=b"signed",
            published_at=1.0,
        )
    )


def test_a_desired_state_is_published_again_to_a_device_that_reports_an_older_one(enrolled: Database) -> None:
    def pending(seq: int, counter: int, *, online: bool = True) -> list[int]:
        state = ReportedState(device=NAME, seq=seq, at=float(seq), online=online, assignment_counter=counter)
        with enrolled.write() as session:
            ingest.store_state(session, NAME, state)
            waiting = [outgoing.counter for outgoing in assignments.unpublished(session)]
            assignments.mark_published(session, NAME, 2)
        return waiting

    with enrolled.write() as session:
        assigned(session, 1)
        assigned(session, 2)
    assert pending(1, 2) == []
    assert pending(2, 1) == [2]
    assert pending(3, 1, online=False) == []
    assert pending(4, 0) == [2]


def test_a_desired_state_is_published_again_when_another_envelope_was_refused(enrolled: Database) -> None:
    def pending(seq: int, counter: int) -> list[int]:
        event = Event(seq=seq, at=1.0, kind=EventKind.REFUSED, counter=counter, code="assignment.bad-signature")
        with enrolled.write() as session:
            ingest.store_events(session, NAME, EventBatch(device=NAME, events=(event,)))
            waiting = [outgoing.counter for outgoing in assignments.unpublished(session)]
            assignments.mark_published(session, NAME, 1)
        return waiting

    with enrolled.write() as session:
        assigned(session, 1)
    assert pending(1, 0) == [1]
    assert pending(1, 0) == []  # the same event again
    assert pending(2, 1) == []  # a bundle was refused: nothing is wrong with the envelope


def test_of_each_device_the_newest_events_are_kept(enrolled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "EVENTS_A_DEVICE", 5)
    with enrolled.write() as session:
        enrolment.register(session, NewDevice(name="quiet"), lifetime_s=60, actor="test")
        session.get_one(DeviceRow, "quiet").enrolled_at = time.time()
        for device, count in ((NAME, 12), ("quiet", 5)):
            events = tuple(Event(seq=n, at=1.0, kind=EventKind.STARTED) for n in range(1, count + 1))
            ingest.store_events(session, device, EventBatch(device=device, events=events))
        assert ingest.enforce_retention(session, Settings()) == 7
        assert ingest.enforce_retention(session, Settings()) == 0
        kept = [event.seq for event in views.events(session, device=NAME)]
        assert (sorted(kept), len(views.events(session, device="quiet"))) == ([8, 9, 10, 11, 12], 5)


def test_an_upload_on_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    full = tmp_path / "0"
    full.symlink_to("/dev/full")
    with pytest.raises(StorageError) as failed:
        releases._save(UploadFile(io.BytesIO(b"x" * 100_000)), full)
    assert failed.value.hint


def test_retention(enrolled: Database) -> None:
    settings = Settings(telemetry_days=1, telemetry_max_rows=1000)
    now = time.time()
    old = TelemetryPoint(seq=1, at=now - 2 * 86_400, name="x", value=1.0)
    new = [TelemetryPoint(seq=2 + i, at=now - 1200 + i, name="x", value=1.0) for i in range(1200)]
    with enrolled.write() as session:
        ingest.store_telemetry(session, NAME, TelemetryBatch(device=NAME, points=(old,)))
        for start in range(0, 1200, 400):
            batch = TelemetryBatch(device=NAME, points=tuple(new[start : start + 400]))
            ingest.store_telemetry(session, NAME, batch)
        assert ingest.enforce_retention(session, settings) == 201
    with enrolled.read() as session:
        rows = views.telemetry(session, limit=5000)
    assert (len(rows), rows[0].seq) == (1000, 202)


def test_history_lists_what_ran(enrolled: Database) -> None:
    def event(seq: int, kind: EventKind, version: str) -> Event:
        return Event(seq=seq, at=float(seq), kind=kind, version=version)

    told = (
        event(1, EventKind.SWITCHED, "1.0.0"),
        event(2, EventKind.CONFIRMED, "1.0.0"),
        event(3, EventKind.SWITCHED, "1.1.0"),
        event(4, EventKind.ROLLED_BACK, "1.0.0"),
        event(5, EventKind.REFUSED, "9.9.9"),
        event(6, EventKind.SWITCHED, "1.0.0"),
    )
    with enrolled.write() as session:
        ingest.store_events(session, NAME, EventBatch(device=NAME, events=told))
    with enrolled.read() as session:
        ran = [(entry.version, entry.reason) for entry in views.device_history(session, NAME)]
    assert ran == [("1.0.0", "factory"), ("1.1.0", "factory"), ("1.0.0", "rollback")]


def test_the_audit_log_can_only_grow(database: Database) -> None:
    with database.write() as session:
        for number in range(5):
            audit.record(session, "someone", "test", str(number))
    raw = sqlite3.connect(database.path)
    for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit"):
        with pytest.raises(sqlite3.DatabaseError, match="append-only"):
            raw.execute(statement)
    raw.execute("DROP TRIGGER audit_no_update")
    raw.execute("UPDATE audit SET actor = 'nobody' WHERE id = 3")
    raw.commit()
    raw.close()
    with database.read() as session:
        result = audit.check(session)
    assert (result.intact, result.first_bad) == (False, 3)


def test_one_holder_has_the_lease(database: Database) -> None:
    def take(session: Session, holder: str, now: float) -> bool:
        return lease.acquire(session, "x", holder, now=now, lifetime_s=3.0)

    with database.write() as session:
        assert take(session, "a", 0.0)
        assert not take(session, "b", 2.9)
        assert take(session, "a", 2.0)
        assert not take(session, "b", 4.9)
        assert take(session, "b", 5.0)
        lease.release(session, "x", "a")
        assert not take(session, "a", 5.1)
        lease.release(session, "x", "b")
        assert take(session, "a", 5.1)


def test_an_unfinished_transaction_leaves_nothing(database: Database) -> None:
    with pytest.raises(MessageError), database.write() as session:  # noqa: PT012 - the block is the transaction
        audit.record(session, "someone", "test", "x")
        raise MessageError("half-way")
    with database.read() as session:
        assert session.get(AuditRow, 1) is None


# ---- the folder and the command line


def test_init_refuses_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "mine").touch()
    with pytest.raises(ServerExists):
        init_server(tmp_path / "server", Settings(), None)
    assert [path.name for path in (tmp_path / "server").iterdir()] == ["mine"]


def test_a_failing_init_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Exception, match="host name"):
        init_server(tmp_path / "a", Settings(host="no such näme"), None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("flota.programs._ADMIN_FOLDERS", ())
    with pytest.raises(MissingTool) as missing:
        init_server(tmp_path / "b", Settings(), NewUser(name="admin", password="long enough"))
    assert "apt-get install mosquitto" in missing.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        (["--admin-user", "admin", "--admin-password-stdin"], "short\n", "usage"),
        (["--admin-user", "admin", "--admin-password-stdin"], "", "usage"),
        (["--admin-user", "Not A Name", "--admin-password-stdin"], "long enough\n", "usage"),
    ],
)
def test_init_on_the_command_line_refuses_clearly(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    stdin: str,
    code: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    assert run(["server", "init", str(tmp_path / "server"), *arguments]) == 2
    assert f"({code})" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse):
            open_socket("127.0.0.1", port)
        init_server(tmp_path / "server", Settings(port=port, device_port=0, mqtt_port=0), None)
        done = subprocess.run(
            [sys.executable, "-m", "flota", "server", "run", str(tmp_path / "server")],
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 1
    assert f"error: port {port} on 127.0.0.1 is in use (server.port-in-use)" in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not load_config(tmp_path / "server").ports_file.exists()


def test_commands_without_a_session_or_a_server_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(["device", "list"]) == 1
    assert "(api.not-signed-in)" in capsys.readouterr().err
    assert run(["server", "run", str(tmp_path / "nothing")]) == 1
    assert "(server.not-found)" in capsys.readouterr().err
    assert run(["rollout", "create", "motion", "1.0.0", "--wave", "many"]) == 2
    assert "(usage)" in capsys.readouterr().err
