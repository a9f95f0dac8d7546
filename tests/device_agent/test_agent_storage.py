"""Journal, slots and the telemetry queue: what is on disk after anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from agent_bundles import make_bundle

from device_agent.core import load_state, sweep
from device_agent.errors import JournalError, SlotError
from device_agent.journal import Journal
from device_agent.slots import Slots, other
from device_agent.state import AgentState
from device_agent.telemetry import Reading, TelemetryQueue
from flota.errors import StorageError
from flota.messages import TelemetryPoint


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff\xfe", b'{"schema":1,"sha256":"","state":"{}"}', b"[1]"])
def test_a_damaged_journal_is_told_from_none(tmp_path: Path, damage: bytes) -> None:
    journal = Journal(tmp_path / "journal.json")
    journal.path.write_bytes(damage)
    with pytest.raises(JournalError) as caught:
        journal.load()
    assert caught.value.hint
    state, complaint = load_state(journal)
    assert complaint is caught.value or isinstance(complaint, JournalError)
    assert state.event_seq > 1_600_000_000_000, "numbers the server has seen never come again"


def test_one_changed_byte_of_a_journal_is_noticed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.json")
    journal.save(AgentState(counter=7))
    data = journal.path.read_bytes()
    at = data.index(b"7")
    journal.path.write_bytes(data[:at] + b"8" + data[at + 1 :])
    with pytest.raises(JournalError):
        journal.load()


def test_a_journal_of_a_newer_agent_is_not_guessed_at(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.json")
    journal.save(AgentState())
    journal.path.write_text(json.dumps({**json.loads(journal.path.read_text()), "schema": 2}))
    with pytest.raises(JournalError, match="schema 2"):
        journal.load()


def test_slots_and_pointer(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "slots")
    assert slots.current() is None
    source = make_bundle(tmp_path, "1.0.0")
    data = source.read_bytes()
    slots.install("A", source)
    slots.install("A", source)  # again after a crash: it was moved already
    slots.point_to("A")
    assert (slots.current(), slots.read("A").manifest.version) == ("A", "1.0.0")
    assert slots.path("A").read_bytes() == data
    with pytest.raises(SlotError):
        slots.read("B")
    with pytest.raises(SlotError):
        slots.install(other("A"), source)
    slots.point_to(None)
    assert slots.current() is None


def test_a_rotten_slot_is_not_read(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "slots")
    slots.install("B", make_bundle(tmp_path, "1.0.0"))
    data = bytearray(slots.path("B").read_bytes())
    data[len(data) // 2] ^= 1
    slots.path("B").write_bytes(data)
    with pytest.raises(SlotError, match="slot B"):
        slots.read("B")


def test_sweep_removes_only_what_a_cut_short_write_left(tmp_path: Path) -> None:
    for name in (".journal.json.abc", "journal.json"):
        (tmp_path / name).write_text("x")
    sweep(tmp_path, tmp_path / "none")
    assert [path.name for path in tmp_path.iterdir()] == ["journal.json"]


def queue(folder: Path, max_points: int = 10_000, first_seq: int = 0) -> TelemetryQueue:
    return TelemetryQueue(folder, "d", max_points=max_points, first_seq=first_seq)


def readings(count: int) -> list[Reading]:
    return [Reading(float(i), "inferences", float(i), "1.0.0") for i in range(count)]


def points(queue: TelemetryQueue) -> Sequence[TelemetryPoint]:
    return [point for batch in queue.batches() for point in batch.points]


def numbers(queue: TelemetryQueue) -> list[int]:
    return [point.seq for point in points(queue)]


def test_readings_are_numbered_and_kept_until_acknowledged(tmp_path: Path) -> None:
    first = queue(tmp_path, first_seq=100)
    first.append(readings(3))
    first.append(readings(2))
    assert numbers(first) == [101, 102, 103, 104, 105]
    again = queue(tmp_path, first_seq=9999)
    assert numbers(again) == numbers(first), "a restart changes nothing"
    again.ack(102)
    assert numbers(again) == [103, 104, 105]
    assert numbers(queue(tmp_path)) == [103, 104, 105]
    again.ack(105)
    assert again.pending == 0
    assert list(tmp_path.glob("*.cbor")) == []
    last = queue(tmp_path)
    last.append(readings(1))
    assert numbers(last) == [106], "numbers go on though nothing is left on disk"


def test_old_repeated_and_impossible_acknowledgements(tmp_path: Path) -> None:
    subject = queue(tmp_path)
    subject.append(readings(4))
    subject.ack(2)
    for seq in (1, 2, 0, 99):
        subject.ack(seq)
        assert numbers(subject) == [3, 4]


def test_the_oldest_go_first_and_are_counted(tmp_path: Path) -> None:
    subject = queue(tmp_path, max_points=10)
    for _ in range(8):
        subject.append(readings(3))
    assert numbers(subject) == list(range(16, 25))
    assert (subject.dropped, subject.pending) == (15, 9)
    assert queue(tmp_path, max_points=10).dropped == 15


def test_a_large_append_becomes_batches_the_server_takes(tmp_path: Path) -> None:
    subject = queue(tmp_path)
    subject.append(readings(1200))
    assert [len(batch.points) for batch in subject.batches()] == [500, 500, 200]


def test_an_acknowledgement_while_batches_are_being_sent(tmp_path: Path) -> None:
    subject = queue(tmp_path)
    for _ in range(3):
        subject.append(readings(2))
    batches = subject.batches()
    assert [point.seq for point in next(batches).points] == [1, 2]
    subject.ack(4)
    assert [[point.seq for point in batch.points] for batch in batches] == [[5, 6]]
    assert subject.dropped == 0


def test_a_rotten_segment_is_dropped_and_the_rest_is_sent(tmp_path: Path) -> None:
    subject = queue(tmp_path)
    for _ in range(3):
        subject.append(readings(2))
    sorted(tmp_path.glob("*.cbor"))[1].write_bytes(b"rotten")
    assert numbers(subject) == [1, 2, 5, 6]
    assert subject.dropped == 2


def test_a_disk_that_cannot_be_written_counts_as_dropped(tmp_path: Path) -> None:
    subject = queue(tmp_path / "t")
    (tmp_path / "t" / "meta.json").unlink()
    (tmp_path / "t").rmdir()
    (tmp_path / "t").write_text("in the way")
    with pytest.raises(StorageError):
        subject.append(readings(2))
    assert subject.dropped == 2
