"""Fixed-layout little-endian records, declared once as data and used by Python and C.

A :class:`WireStruct` lists its fields; Python packs and unpacks with it, and :mod:`flota.toolchain.cheader` writes the
same table as a C struct. Every field is naturally aligned and nothing is padded silently, so the C compiler lays the
struct out as Python does (the generated header asserts its size).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["u8", "u16", "u32", "u64", "char", "bytes"]
Value: TypeAlias = int | str | bytes | tuple[int, ...]

_CODES: Mapping[str, tuple[str, int]] = {"u8": ("B", 1), "u16": ("H", 2), "u32": ("I", 4), "u64": ("Q", 8)}


@dataclass(frozen=True, slots=True)
class WireField:
    """One field. ``count`` is the length of a ``char``/``bytes`` field in bytes, or of an array of numbers."""

    name: str
    kind: Kind
    doc: str
    count: int = 1

    @property
    def size(self) -> int:
        """Bytes of the field."""
        return self.count * (1 if self.kind in ("char", "bytes") else _CODES[self.kind][1])

    @property
    def alignment(self) -> int:
        """Bytes the field's offset must be a multiple of."""
        return 1 if self.kind in ("char", "bytes") else _CODES[self.kind][1]

    @property
    def code(self) -> str:
        """The field in :mod:`struct` notation."""
        return f"{self.count}s" if self.kind in ("char", "bytes") else f"{self.count}{_CODES[self.kind][0]}"


@dataclass(frozen=True, slots=True)
class WireStruct:
    """A record: its C name, what it is, and its fields in order.

    Raises:
        ValueError: A field is not naturally aligned, or the size is no multiple of the largest alignment.
    """

    name: str
    doc: str
    fields: tuple[WireField, ...]

    def __post_init__(self) -> None:
        offset = 0
        for field in self.fields:
            if offset % field.alignment:
                raise ValueError(f"{self.name}.{field.name} at offset {offset} is not aligned")
            offset += field.size
        if offset % max(field.alignment for field in self.fields):
            raise ValueError(f"{self.name} has {offset} bytes, which C would pad")

    @property
    def size(self) -> int:
        """Bytes of the record."""
        return sum(field.size for field in self.fields)

    def offset(self, name: str) -> int:
        """Offset of a field in bytes."""
        position = 0
        for field in self.fields:
            if field.name == name:
                return position
            position += field.size
        raise KeyError(name)

    def pack(self, values: Mapping[str, Value]) -> bytes:
        """The record's bytes.

        Raises:
            ValueError: A field is missing, unknown, or its value does not fit.
        """
        if values.keys() != {field.name for field in self.fields}:
            odd = sorted(values.keys() ^ {field.name for field in self.fields})
            raise ValueError(f"{self.name}: fields {odd} are missing or unknown")
        return b"".join(_pack_field(self.name, field, values[field.name]) for field in self.fields)

    def unpack(self, data: bytes) -> dict[str, Value]:
        """The record in the first :attr:`size` bytes of ``data``.

        Raises:
            ValueError: ``data`` is too short, or a text field is not ASCII.
        """
        if len(data) < self.size:
            raise ValueError(f"{self.name}: {len(data)} bytes, {self.size} needed")
        values: dict[str, Value] = {}
        offset = 0
        for field in self.fields:
            values[field.name] = _unpack_field(field, data, offset)
            offset += field.size
        return values


def _pack_field(record: str, field: WireField, value: Value) -> bytes:
    try:
        if field.kind == "char":
            raw = str(value).encode("ascii")
            if len(raw) >= field.count:
                raise ValueError(f"longer than {field.count - 1} characters")
            return struct.pack(field.code, raw)
        if field.kind == "bytes":
            if not isinstance(value, bytes) or len(value) != field.count:
                raise ValueError(f"not {field.count} bytes")
            return value
        numbers = value if isinstance(value, tuple) else (value,)
        return struct.pack("<" + field.code, *numbers)
    except (struct.error, ValueError) as error:
        raise ValueError(f"{record}.{field.name} = {value!r}: {error}") from error


def _unpack_field(field: WireField, data: bytes, offset: int) -> Value:
    if field.kind == "char":
        text: bytes = data[offset : offset + field.count]
        return text.split(b"\0", 1)[0].decode("ascii")
    if field.kind == "bytes":
        return data[offset : offset + field.count]
    numbers: tuple[int, ...] = struct.unpack_from("<" + field.code, data, offset)
    return numbers if field.count > 1 else numbers[0]
