"""A FlatBuffers cursor that cannot read outside its buffer.

The generated FlatBuffers classes trust their input: a garbled offset makes them read before the buffer, loop, or raise
whatever ``struct`` raises. Here every offset is checked where it is followed, and the only exception is
``InvalidModel``. Format: https://flatbuffers.dev/internals/ (tables, vtables, vectors; all offsets little-endian).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from optimize.errors import InvalidModel

TRUNCATED_HINT = "the file is truncated or damaged; export or download it again"
LIMIT_HINT = "no model for a microcontroller has so many: use a smaller one, join or split tensors in several steps"

_U8, _I8, _BOOL = struct.Struct("<B"), struct.Struct("<b"), struct.Struct("<?")
_U16, _U32, _I32, _F32, _U64 = (struct.Struct(f"<{code}") for code in "HIifQ")


@dataclass(frozen=True, slots=True)
class Table:
    """One FlatBuffers table: a position in the file whose fields are found through its vtable."""

    buffer: bytes
    position: int

    def u8(self, field: int, default: int = 0) -> int:
        """An unsigned byte."""
        return int(self._scalar(field, _U8, default))

    def i8(self, field: int, default: int = 0) -> int:
        """A signed byte."""
        return int(self._scalar(field, _I8, default))

    def u32(self, field: int, default: int = 0) -> int:
        """An unsigned 32-bit integer."""
        return int(self._scalar(field, _U32, default))

    def i32(self, field: int, default: int = 0) -> int:
        """A signed 32-bit integer."""
        return int(self._scalar(field, _I32, default))

    def u64(self, field: int, default: int = 0) -> int:
        """An unsigned 64-bit integer."""
        return int(self._scalar(field, _U64, default))

    def f32(self, field: int, default: float = 0.0) -> float:
        """A float32."""
        return float(self._scalar(field, _F32, default))

    def flag(self, field: int, default: bool = False) -> bool:
        """A boolean; any byte but 0 is true."""
        return bool(self._scalar(field, _U8, default))

    def has(self, field: int) -> bool:
        """Whether the writer stored the field."""
        return self._locate(field) is not None

    def table(self, field: int) -> Table | None:
        """The table a field points to, or None where the field is absent."""
        position = self._locate(field)
        return None if position is None else Table(self.buffer, _follow(self.buffer, position))

    def tables(self, field: int, *, limit: int, what: str) -> list[Table]:
        """A vector of tables; ``limit`` bounds its length, ``what`` names it in the error."""
        start, count = self._vector(field, 4, limit, what)
        return [Table(self.buffer, _follow(self.buffer, start + 4 * i)) for i in range(count)]

    def i32s(self, field: int, *, limit: int, what: str) -> tuple[int, ...]:
        """A vector of signed 32-bit integers; empty where absent."""
        return tuple(int(value) for value in self._numbers(field, "i", 4, limit, what))

    def i64s(self, field: int, *, limit: int, what: str) -> tuple[int, ...]:
        """A vector of signed 64-bit integers; empty where absent."""
        return tuple(int(value) for value in self._numbers(field, "q", 8, limit, what))

    def f32s(self, field: int, *, limit: int, what: str) -> tuple[float, ...]:
        """A vector of float32; empty where absent."""
        return tuple(float(value) for value in self._numbers(field, "f", 4, limit, what))

    def blob(self, field: int) -> memoryview:
        """A vector of bytes, without copying it; empty where the field is absent."""
        start, count = self._vector(field, 1, len(self.buffer), "data")
        return memoryview(self.buffer)[start : start + count]

    def text(self, field: int, *, limit: int = 256) -> str:
        """A string, cut after ``limit`` bytes; what is no UTF-8 or not printable is replaced."""
        text = bytes(self.blob(field)[:limit]).decode("utf-8", errors="replace")
        return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)

    def _scalar(self, field: int, layout: struct.Struct, default: float) -> float:
        position = self._locate(field)
        return default if position is None else _unpack(self.buffer, layout, position)

    def _numbers(self, field: int, code: str, size: int, limit: int, what: str) -> Iterator[float]:
        start, count = self._vector(field, size, limit, what)
        return iter(struct.unpack_from(f"<{count}{code}", self.buffer, start))

    def _vector(self, field: int, item_bytes: int, limit: int, what: str) -> tuple[int, int]:
        """(position of the first item, number of items), both inside the buffer."""
        position = self._locate(field)
        if position is None:
            return 0, 0
        head = _follow(self.buffer, position)
        count = int(_unpack(self.buffer, _U32, head))
        if head + 4 + count * item_bytes > len(self.buffer):
            raise _outside(head + 4 + count * item_bytes, len(self.buffer))
        if count > limit:
            raise InvalidModel(f"{what}: {count} entries, the compiler takes {limit}", hint=LIMIT_HINT)
        return head + 4, count

    def _locate(self, field: int) -> int | None:
        """Position of a field's bytes, or None where the writer left the field out (its default holds)."""
        vtable = self.position - int(_unpack(self.buffer, _I32, self.position))
        vtable_bytes = int(_unpack(self.buffer, _U16, vtable))
        entry = 4 + 2 * field
        if entry + 2 > vtable_bytes:
            return None
        offset = int(_unpack(self.buffer, _U16, vtable + entry))
        return None if offset == 0 else self.position + offset


def root_table(buffer: bytes, identifier: bytes) -> Table:
    """The root table of a file that must carry the four-byte ``identifier``."""
    if len(buffer) < 8 or buffer[4:8] != identifier:
        raise InvalidModel(
            f"not a .tflite file: the identifier {identifier.decode()} is missing at byte 4",
            hint="give a .tflite file written by the TensorFlow Lite converter",
        )
    return Table(buffer, _follow(buffer, 0))


def _follow(buffer: bytes, position: int) -> int:
    target = position + int(_unpack(buffer, _U32, position))
    if target + 4 > len(buffer):
        raise _outside(target + 4, len(buffer))
    return target


def _unpack(buffer: bytes, layout: struct.Struct, position: int) -> float:
    if position < 0 or position + layout.size > len(buffer):
        raise _outside(position, len(buffer))
    value: float = layout.unpack_from(buffer, position)[0]
    return value


def _outside(position: int, size: int) -> InvalidModel:
    return InvalidModel(f"an offset leads to byte {position} of a file of {size} bytes", hint=TRUNCATED_HINT)
