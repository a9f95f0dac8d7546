"""Readings on disk until the server has them: numbered, bounded, the oldest dropped first and counted.

A flush writes one segment file ``<first>-<last>.cbor`` (sequence numbers, 16 digits) holding a
:class:`flota.messages.TelemetryBatch`. An acknowledgement removes whole segments. ``meta.json`` is written before
segments are removed, so numbers never start over and a reading is never counted as dropped twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from flota.errors import FlotaError, StorageError
from flota.files import write_atomic
from flota.messages import MAX_BATCH, TelemetryBatch, TelemetryPoint, decode, encode

_SEGMENT = re.compile(r"(\d{16})-(\d{16})\.cbor")


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading that has no number yet. ``at``: UTC seconds since the epoch."""

    at: float
    name: str
    value: float
    version: str = ""


@dataclass(frozen=True, slots=True)
class _Segment:
    path: Path
    first: int
    last: int

    @property
    def count(self) -> int:
        return self.last - self.first + 1


class _Meta(BaseModel):
    model_config = ConfigDict(frozen=True)
    last: int
    kept_from: int
    dropped: int = 0


class TelemetryQueue:
    """The queue of one device. Synchronous and not thread-safe: one task owns it.

    Args:
        folder: Where segments are.
        device: Its name, which travels in every batch.
        max_points: Above this many readings on disk the oldest segments go.
        first_seq: The number before the first reading of a new queue. A device that lost its disk must not use
            numbers again, so the caller derives it from the clock.

    Raises:
        StorageError: The folder cannot be read or written.
    """

    def __init__(self, folder: Path, device: str, *, max_points: int, first_seq: int) -> None:
        self._folder = folder
        self._device = device
        self._max_points = max_points
        try:
            folder.mkdir(parents=True, exist_ok=True)
            segments = sorted(_segments(folder), key=lambda segment: segment.first)
        except OSError as error:
            raise StorageError(f"{folder}: {error.strerror or error}", hint="check permissions") from error
        self._meta = self._read_meta(first_seq)
        self._last = max([self._meta.last, *(segment.last for segment in segments)])
        self._segments = [segment for segment in segments if segment.last >= self._meta.kept_from]
        for segment in segments:
            if segment.last < self._meta.kept_from:
                segment.path.unlink(missing_ok=True)

    @property
    def dropped(self) -> int:
        """Readings lost since the device was enrolled: the queue was full, or the disk was."""
        return self._meta.dropped

    @property
    def pending(self) -> int:
        """Readings on disk that the server did not acknowledge."""
        return sum(segment.count for segment in self._segments) - self._acked_inside()

    def append(self, readings: Sequence[Reading]) -> None:
        """Number the readings and store them durably; on a full disk they are counted as dropped.

        Raises:
            StorageError: They could not be stored; the queue stays usable.
        """
        for start in range(0, len(readings), MAX_BATCH):
            self._append_segment(readings[start : start + MAX_BATCH])
        self._drop_oldest()

    def batches(self) -> Iterator[TelemetryBatch]:
        """What the server did not acknowledge, oldest first. A segment that rotted on disk is dropped."""
        for segment in list(self._segments):
            if segment not in self._segments:  # acknowledged while the caller was busy with the batch before
                continue
            points = self._points(segment)
            if points is None:
                self._discard(segment)
            elif points:
                yield TelemetryBatch(device=self._device, points=points)

    def ack(self, seq: int) -> None:
        """The server has everything up to ``seq``. An old or repeated acknowledgement changes nothing."""
        if seq < self._meta.kept_from or seq > self._last:
            return
        self._advance(seq + 1)

    def _acked_inside(self) -> int:
        if not self._segments:
            return 0
        return max(0, self._meta.kept_from - self._segments[0].first)

    def _append_segment(self, readings: Sequence[Reading]) -> None:
        first, last = self._last + 1, self._last + len(readings)
        points = tuple(
            TelemetryPoint(seq=first + i, at=r.at, name=r.name, value=r.value, version=r.version)
            for i, r in enumerate(readings)
        )
        path = self._folder / f"{first:016}-{last:016}.cbor"
        try:
            write_atomic(path, encode(TelemetryBatch(device=self._device, points=points)))
        except StorageError:
            self._meta = self._meta.model_copy(update={"dropped": self._meta.dropped + len(readings)})
            raise
        self._last = last
        self._segments.append(_Segment(path, first, last))

    def _drop_oldest(self) -> None:
        excess, kept_from, dropped = self.pending - self._max_points, 0, -self._acked_inside()
        for segment in self._segments[:-1]:
            if excess <= 0:
                break
            kept_from, excess, dropped = segment.last + 1, excess - segment.count, dropped + segment.count
        if kept_from:
            self._advance(kept_from, dropped=dropped)

    def _points(self, segment: _Segment) -> tuple[TelemetryPoint, ...] | None:
        try:
            batch = decode(TelemetryBatch, segment.path.read_bytes())
        except (OSError, FlotaError):
            return None
        return tuple(point for point in batch.points if point.seq >= self._meta.kept_from)

    def _advance(self, kept_from: int, *, dropped: int = 0) -> None:
        """Nothing below ``kept_from`` is needed any more."""
        self._write_meta(_Meta(last=self._last, kept_from=kept_from, dropped=self._meta.dropped + dropped))
        for segment in self._segments:
            if segment.last < kept_from:
                segment.path.unlink(missing_ok=True)
        self._segments = [segment for segment in self._segments if segment.last >= kept_from]

    def _discard(self, rotten: _Segment) -> None:
        self._write_meta(self._meta.model_copy(update={"dropped": self._meta.dropped + rotten.count}))
        rotten.path.unlink(missing_ok=True)
        self._segments.remove(rotten)

    def _write_meta(self, meta: _Meta) -> None:
        write_atomic(self._folder / "meta.json", meta.model_dump_json().encode())
        self._meta = meta

    def _read_meta(self, first_seq: int) -> _Meta:
        try:
            return _Meta.model_validate_json((self._folder / "meta.json").read_bytes())
        except (OSError, ValidationError):
            meta = _Meta(last=first_seq, kept_from=0)
            write_atomic(self._folder / "meta.json", meta.model_dump_json().encode())
            return meta


def _segments(folder: Path) -> Iterator[_Segment]:
    for path in folder.iterdir():
        match = _SEGMENT.fullmatch(path.name)
        if match:
            yield _Segment(path, int(match[1]), int(match[2]))
