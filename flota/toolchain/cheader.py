"""The C headers that are generated from Python's constants: what both sides must agree on is written once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum

from flota.boardlink import protocol
from flota.boardlink.geometry import FIRMWARE_FOLDER, BoardGeometry
from flota.boardlink.wire import WireField, WireStruct
from flota.image import HEADER_VERSION, IMAGE_HEADER, IMAGE_MAGIC, SIGNATURE_BYTES

ENUMS: tuple[type[IntEnum], ...] = (
    protocol.FrameType,
    protocol.Command,
    protocol.Status,
    protocol.SlotState,
    protocol.ResetCause,
    protocol.Verdict,
)
STRUCTS: tuple[WireStruct, ...] = (
    protocol.FRAME_HEADER,
    protocol.SLOT_INFO,
    protocol.INFO,
    protocol.BEGIN,
    protocol.ACTIVATE,
    protocol.RUN_RESULT,
    protocol.STATS,
    protocol.FACTORY_PAGE,
    protocol.BOOT_RECORD,
    IMAGE_HEADER,
)
_C_TYPES = {
    "u8": "uint8_t",
    "u16": "uint16_t",
    "u32": "uint32_t",
    "u64": "uint64_t",
    "char": "char",
    "bytes": "uint8_t",
}


def firmware_version() -> tuple[int, int, int]:
    """The version of the base firmware, from ``firmware/VERSION``."""
    major, minor, patch = (FIRMWARE_FOLDER / "VERSION").read_text().strip().split(".")
    return int(major), int(minor), int(patch)


def constants() -> dict[str, int]:
    """Every plain number in the generated ``flota/wire.h``."""
    major, minor, patch = firmware_version()
    return {
        "FLOTA_FIRMWARE_MAJOR": major,
        "FLOTA_FIRMWARE_MINOR": minor,
        "FLOTA_FIRMWARE_PATCH": patch,
        "FLOTA_PROTOCOL_VERSION": protocol.PROTOCOL_VERSION,
        "FLOTA_MAX_BODY_BYTES": protocol.MAX_BODY_BYTES,
        "FLOTA_CHUNK_BYTES": protocol.CHUNK_BYTES,
        "FLOTA_CRC_BYTES": protocol.CRC_BYTES,
        "FLOTA_MAX_TENSORS": protocol.MAX_TENSORS,
        "FLOTA_NO_SLOT": protocol.NO_SLOT,
        "FLOTA_RUN_FRESH": protocol.RUN_FRESH,
        "FLOTA_FACTORY_MAGIC": protocol.FACTORY_MAGIC,
        "FLOTA_FACTORY_VERSION": protocol.FACTORY_VERSION,
        "FLOTA_MAX_PUBLIC_KEYS": protocol.MAX_PUBLIC_KEYS,
        "FLOTA_RECORD_MAGIC": protocol.RECORD_MAGIC,
        "FLOTA_RECORD_VERSION": protocol.RECORD_VERSION,
        "FLOTA_IMAGE_MAGIC": IMAGE_MAGIC,
        "FLOTA_HEADER_VERSION": HEADER_VERSION,
        "FLOTA_SIGNATURE_BYTES": SIGNATURE_BYTES,
    }


def wire_header() -> str:
    """``flota/wire.h``: constants, enumerations and records of the board link, the images and the flash."""
    parts = [
        "/* Generated from flota/boardlink/protocol.py and flota/image.py; change those. */",
        "#ifndef FLOTA_WIRE_H\n#define FLOTA_WIRE_H\n\n#include <stdint.h>\n",
        *(f"#define {name} {value}u" for name, value in constants().items()),
        "",
        *map(_enum, ENUMS),
        *map(_struct, STRUCTS),
        "#endif\n",
    ]
    return "\n".join(parts)


def board_header(geometry: BoardGeometry) -> str:
    """``flota/board_config.h``: the board's numbers, also for linker scripts (so: macros only, no suffixes)."""
    memory, flash, layout, timing = geometry.memory, geometry.flash, geometry.flash.layout, geometry.timing
    numbers = {
        "CODE_BASE": memory.code_base,
        "CODE_BYTES": memory.code_bytes,
        "RAM_BASE": memory.ram_base,
        "RAM_BYTES": memory.ram_bytes,
        "STACK_BYTES": memory.stack_bytes,
        "ARENA_BYTES": memory.arena_bytes,
        "RETAINED_BYTES": memory.retained_bytes,
        "FLASH_BASE": flash.base,
        "FLASH_BYTES": flash.bytes,
        "SECTOR_BYTES": flash.sector_bytes,
        "PROGRAM_BYTES": flash.program_bytes,
        "CLOCK_HZ": timing.clock_hz,
        "INSTRUCTIONS_PER_TICK": timing.instructions_per_tick,
        "WATCHDOG_MS": timing.watchdog_ms,
    }
    fields = {
        "board": f'"{geometry.name}"',
        "flash_base": flash.base,
        "sector_bytes": flash.sector_bytes,
        "program_bytes": flash.program_bytes,
        "factory_offset": layout.factory_offset,
        "state_offset": layout.state_offset,
        "slot_offset": f"{{{layout.slot_a_offset}, {layout.slot_b_offset}}}",
        "slot_bytes": layout.slot_bytes,
        "arena_bytes": memory.arena_bytes,
        "probation_ms": timing.probation_ms,
        "crash_limit": timing.crash_limit,
        "instructions_per_tick": timing.instructions_per_tick,
    }
    initializer = ", ".join(f".{name} = {value}" for name, value in fields.items())
    lines = [
        f"/* Generated from firmware/boards/{geometry.name}/board.toml; change that. */",
        "#ifndef FLOTA_BOARD_CONFIG_H\n#define FLOTA_BOARD_CONFIG_H\n",
        *(f"#define FLOTA_{name} {value:#x}" for name, value in numbers.items()),
        f"#define FLOTA_GEOMETRY {{{initializer}}}",
        "\n#endif\n",
    ]
    return "\n".join(lines)


def enum_prefix(enum: type[IntEnum]) -> str:
    """``SlotState`` → ``FLOTA_SLOT_STATE``."""
    return "FLOTA_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.__name__).upper()


def _enum(enum: type[IntEnum]) -> str:
    prefix = enum_prefix(enum)
    members = ",\n".join(f"    {prefix}_{member.name} = {member.value}" for member in enum)
    return f"enum {{\n{members}\n}};\n"


def _field(field: WireField) -> str:
    array = f"[{field.count}]" if field.count > 1 or field.kind in ("char", "bytes") else ""
    return f"    {_C_TYPES[field.kind]} {field.name}{array}; /* {field.doc} */"


def _struct(record: WireStruct) -> str:
    fields: Iterable[str] = map(_field, record.fields)
    body = "\n".join(fields)
    check = f"typedef char {record.name}_has_{record.size}_bytes[sizeof({record.name}) == {record.size} ? 1 : -1];"
    return f"/* {record.doc} */\ntypedef struct {{\n{body}\n}} {record.name};\n{check}\n"
