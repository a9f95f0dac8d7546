"""The board link's constants and records: the one source that Python and the firmware are built from.

A frame is ``COBS(header || body || CRC-32)`` between two zero bytes; all numbers are little-endian. The header is
:data:`FRAME_HEADER`; the CRC (zlib's) covers header and body. The host asks, the board answers: an answer carries the
request's id and command and a :class:`Status`; its body is empty unless the status is ``OK``. A board that gets the
same request twice in a row (same id, same bytes) repeats its answer and does nothing else, so a request whose answer
was lost may be sent again. Requests with other bodies than their table entry says are refused.
"""

from __future__ import annotations

from enum import IntEnum

from flota.boardlink.wire import WireField, WireStruct

PROTOCOL_VERSION = 1
MAX_BODY_BYTES = 4096 + 16
CHUNK_BYTES = 4096
MAX_TENSORS = 16
NO_SLOT = 0xFF
RUN_FRESH = 1
"""Body of RUN: set a streaming model's state to its initial values first. Without it a run goes on from the last."""


class FrameType(IntEnum):
    """Who speaks."""

    REQUEST = 1
    RESPONSE = 2


class Command(IntEnum):
    """What the host asks for. In parentheses: request body → answer body."""

    INFO = 1  # () → Info
    BEGIN = 2  # (Begin) → (): erase a slot for an image of this size
    CHUNK = 3  # (u32 offset, bytes) → u32 received: append to the slot; bytes already there are compared
    FINISH = 4  # () → (): verify what was received; the slot becomes PENDING
    ACTIVATE = 5  # (Activate) → (), then the board resets into it
    CONFIRM = 6  # (u8 slot) → (): the image running in that slot is good; the floor rises to its counter
    ROLLBACK = 7  # () → (), then the board resets into the other confirmed image
    INPUT = 8  # (u32 offset, bytes) → (): a piece of one case's input tensors
    RUN = 9  # (optional u8: RUN_FRESH or 0) → RunResult: run the model once on that input
    OUTPUT = 10  # (u32 offset, u32 size) → bytes: a piece of the output tensors
    SELFTEST = 11  # () → u32 cases: run the golden vectors of the running image
    STATS = 12  # () → Stats
    RESET = 13  # () → (), then the board resets
    ERASE = 14  # (u8 slot) → (): empty a slot


class Status(IntEnum):
    """How a request ended. :data:`STATUS_CODES` names them for people and programs."""

    OK = 0
    # the link
    BAD_REQUEST = 1
    UNKNOWN_COMMAND = 2
    WRONG_STATE = 3
    BAD_OFFSET = 4
    # slots
    SLOT_UNKNOWN = 16
    SLOT_RUNNING = 17
    SLOT_FALLBACK = 18
    SLOT_NOT_READY = 19
    NO_FALLBACK = 20
    SLOT_NOT_RUNNING = 21
    # images
    IMAGE_TRUNCATED = 32
    IMAGE_OVERSIZE = 33
    IMAGE_FORMAT = 34
    IMAGE_WRONG_BOARD = 35
    IMAGE_WRONG_SLOT = 36
    IMAGE_BAD_SIGNATURE = 37
    IMAGE_UNDER_FLOOR = 38
    IMAGE_ARENA = 39
    IMAGE_MODEL = 40
    IMAGE_GOLDEN = 41
    NO_PUBLIC_KEY = 42
    # models
    NO_MODEL = 48
    MODEL_FAILED = 49
    SELFTEST_MISMATCH = 50
    # the board
    FLASH_FAILED = 64


STATUS_CODES: dict[Status, tuple[str, str]] = {
    Status.OK: ("ok", "done"),
    Status.BAD_REQUEST: ("link.bad-request", "the request's body has a wrong size or value"),
    Status.UNKNOWN_COMMAND: ("link.unknown-command", "the firmware does not know this command"),
    Status.WRONG_STATE: ("link.wrong-state", "the board is not in a state in which this can be asked"),
    Status.BAD_OFFSET: ("link.bad-offset", "the piece does not follow what was received, or differs from it"),
    Status.SLOT_UNKNOWN: ("slot.unknown", "there is no such slot"),
    Status.SLOT_RUNNING: ("slot.running", "the image in this slot is running"),
    Status.SLOT_FALLBACK: ("slot.fallback", "this slot holds the only confirmed image; confirm or roll back first"),
    Status.SLOT_NOT_READY: ("slot.not-ready", "the slot holds no verified image"),
    Status.NO_FALLBACK: ("slot.no-fallback", "there is no other confirmed image to go back to"),
    Status.SLOT_NOT_RUNNING: ("slot.not-running", "another slot's image runs: this one was given up"),
    Status.IMAGE_TRUNCATED: ("image.truncated", "the image is shorter than its header says"),
    Status.IMAGE_OVERSIZE: ("image.oversize", "the image does not fit the slot, or is longer than its header says"),
    Status.IMAGE_FORMAT: ("image.format", "the bytes are not an image of a version this firmware reads"),
    Status.IMAGE_WRONG_BOARD: ("image.wrong-board", "the image is for another board"),
    Status.IMAGE_WRONG_SLOT: ("image.wrong-slot", "the image is linked for the other slot"),
    Status.IMAGE_BAD_SIGNATURE: ("image.bad-signature", "no key of the factory page signed these bytes"),
    Status.IMAGE_UNDER_FLOOR: ("image.under-floor", "the image's security counter is below the board's floor"),
    Status.IMAGE_ARENA: ("image.arena-too-large", "the model needs more working memory than the board has"),
    Status.IMAGE_MODEL: ("image.bad-model", "the model's description is not valid or of another ABI"),
    Status.IMAGE_GOLDEN: ("image.bad-golden", "the golden vectors are missing or do not fit the model"),
    Status.NO_PUBLIC_KEY: ("board.not-provisioned", "the board has no factory page with a public key"),
    Status.NO_MODEL: ("model.none", "no model is running on the board"),
    Status.MODEL_FAILED: ("model.failed", "the model's code returned an error"),
    Status.SELFTEST_MISMATCH: ("selftest.mismatch", "the model's outputs differ from its golden vectors"),
    Status.FLASH_FAILED: ("board.flash-failed", "an erase or a write of the flash failed"),
}


class SlotState(IntEnum):
    """The numbered states of a slot; ``firmware/README.md`` has the table of what leads from one to the next."""

    EMPTY = 0  # nothing to run; perhaps an image is being received
    PENDING = 1  # received and verified; waits to be activated
    ARMED = 2  # activated; runs at the next boot
    TESTING = 3  # has been booted, is not confirmed; whoever boots again in this state failed
    CONFIRMED = 4  # good; may be booted any time, unless the floor has risen above it
    BAD = 5  # failed; never booted again


class ResetCause(IntEnum):
    """Why the processor started."""

    POWER_ON = 0
    COMMANDED = 1
    CRASH = 2
    WATCHDOG = 3
    PROBATION = 4


class Verdict(IntEnum):
    """Why a slot became BAD, or the fallback was taken; kept in the boot record."""

    NONE = 0
    CRASHED = 1
    WATCHDOG = 2
    UNCONFIRMED = 3  # reset or power cut before the image was confirmed
    SELFTEST = 4
    INVALID = 5  # it no longer verified at boot
    COMMANDED = 6  # the host asked for the rollback
    PROBATION = 7  # nobody confirmed it in time


FRAME_HEADER = WireStruct(
    "flota_frame_header_t",
    "What stands before the body of every frame.",
    (
        WireField("version", "u8", "PROTOCOL_VERSION"),
        WireField("type", "u8", "FrameType"),
        WireField("command", "u8", "Command"),
        WireField("status", "u8", "Status; 0 in a request"),
        WireField("request_id", "u16", "chosen by the host, repeated in the answer"),
        WireField("reserved", "u16", "0"),
    ),
)
CRC_BYTES = 4

SLOT_INFO = WireStruct(
    "flota_slot_info_t",
    "One slot as INFO shows it. Version, counter and model are 0 or empty in an EMPTY or BAD slot.",
    (
        WireField("state", "u8", "SlotState"),
        WireField("verdict", "u8", "Verdict: why the slot is BAD, else 0"),
        WireField("major", "u16", "version of the image"),
        WireField("minor", "u16", "version of the image"),
        WireField("patch", "u16", "version of the image"),
        WireField("security_counter", "u32", "of the image"),
        WireField("image_bytes", "u32", "signature, header and payload"),
        WireField("model", "char", "name of the model", 32),
    ),
)

INFO = WireStruct(
    "flota_info_t",
    "Answer to INFO; two flota_slot_info_t (A, B) follow it.",
    (
        WireField("board", "char", "name of the board", 32),
        WireField("serial", "char", "serial number from the factory page; empty when there is none", 32),
        WireField("firmware_major", "u16", "version of the base firmware"),
        WireField("firmware_minor", "u16", "version of the base firmware"),
        WireField("firmware_patch", "u16", "version of the base firmware"),
        WireField("running", "u8", "slot whose model runs: 0 = A, 1 = B, NO_SLOT = none"),
        WireField("reset_cause", "u8", "ResetCause of this boot"),
        WireField("floor", "u32", "smallest security counter the board accepts"),
        WireField("arena_bytes", "u32", "working memory there is for a model"),
        WireField("slot_bytes", "u32", "largest image"),
        WireField("boots", "u32", "boots since the power came on"),
        WireField("uptime_ms", "u32", "since this boot, in the board's own time"),
        WireField("probation_left_ms", "u32", "until an unconfirmed image is rolled back; 0 when confirmed"),
        WireField("input_bytes", "u32", "of one case of the running model"),
        WireField("output_bytes", "u32", "of one case of the running model"),
        WireField("instructions_per_tick", "u32", "0 where the board cannot count instructions"),
        WireField("last_slot", "u8", "slot that was last given up, NO_SLOT = none"),
        WireField("last_verdict", "u8", "Verdict: why it was given up"),
        WireField("provisioned", "u8", "1 when the factory page is valid"),
        WireField("last_cause", "u8", "ResetCause that led to it"),
    ),
)

BEGIN = WireStruct(
    "flota_begin_t",
    "Request body of BEGIN.",
    (
        WireField("slot", "u8", "0 = A, 1 = B"),
        WireField("reserved", "bytes", "zeros", 3),
        WireField("image_bytes", "u32", "of the whole image"),
    ),
)

ACTIVATE = WireStruct(
    "flota_activate_t",
    "Request body of ACTIVATE.",
    (
        WireField("slot", "u8", "0 = A, 1 = B"),
        WireField("reserved", "bytes", "zeros", 3),
        WireField("probation_ms", "u32", "time to confirm in, in the board's own time; 0 = the board's default"),
    ),
)

RUN_RESULT = WireStruct(
    "flota_run_result_t",
    "Answer to RUN.",
    (
        WireField("instructions", "u64", "executed by the model's invoke(), the measuring taken off; 0 = not counted"),
        WireField("output_bytes", "u32", "of all output tensors"),
        WireField("stack_bytes", "u32", "stack this run used below the firmware's own"),
    ),
)

STATS = WireStruct(
    "flota_stats_t",
    "Answer to STATS; counters since this boot, sizes in bytes.",
    (
        WireField("flash_bytes", "u32", "code and constants of the base firmware"),
        WireField("ram_bytes", "u32", "static RAM of the base firmware, without stack and arena"),
        WireField("stack_bytes", "u32", "reserved for the stack"),
        WireField("stack_peak_bytes", "u32", "high-water mark of the whole stack"),
        WireField("model_stack_peak_bytes", "u32", "high-water mark of the model's runs alone"),
        WireField("arena_bytes", "u32", "reserved for the arena"),
        WireField("runs", "u32", "models run, the self-test's included"),
        WireField("frames", "u32", "frames taken"),
        WireField("bad_frames", "u32", "frames dropped: garbled, too long, of another version"),
        WireField("repeats", "u32", "requests answered again"),
        WireField("erases", "u32", "sectors erased"),
        WireField("programs", "u32", "program operations"),
        WireField("overhead_instructions", "u32", "taken off every measurement"),
        WireField("crash_address", "u32", "program counter of the crash before this boot; 0 = none"),
        WireField("crash_status", "u32", "fault status (CFSR) of that crash"),
        WireField("reserved", "u32", "0"),
    ),
)

FACTORY_MAGIC = 0x464C5446  # "FLTF" on a dump
FACTORY_VERSION = 1
MAX_PUBLIC_KEYS = 2
FACTORY_PAGE = WireStruct(
    "flota_factory_page_t",
    "Written at manufacture into its own flash sector.",
    (
        WireField("magic", "u32", "FACTORY_MAGIC"),
        WireField("version", "u16", "FACTORY_VERSION"),
        WireField("key_count", "u16", "public keys that follow, 1 or 2"),
        WireField("board", "char", "name of the board", 32),
        WireField("serial", "char", "serial number", 32),
        WireField("public_keys", "bytes", "Ed25519 keys whose signatures the board accepts", 32 * MAX_PUBLIC_KEYS),
        WireField("crc", "u32", "CRC-32 of everything before it"),
    ),
)

RECORD_MAGIC = 0x464C5453  # "FLTS"
RECORD_VERSION = 1
BOOT_RECORD = WireStruct(
    "flota_boot_record_t",
    "The slots' states. Two sectors hold the newest record and the one before; the higher valid sequence counts.",
    (
        WireField("magic", "u32", "RECORD_MAGIC"),
        WireField("version", "u16", "RECORD_VERSION"),
        WireField("active", "u8", "slot that boots when both are confirmed, NO_SLOT = none"),
        WireField("last_slot", "u8", "slot that was last given up, NO_SLOT = none"),
        WireField("sequence", "u32", "one higher with every record"),
        WireField("floor", "u32", "smallest security counter accepted"),
        WireField("state", "u8", "SlotState of A and B", 2),
        WireField("verdict", "u8", "Verdict of A and B", 2),
        WireField("last_verdict", "u8", "Verdict of last_slot when it was given up"),
        WireField("last_cause", "u8", "ResetCause that led to it"),
        WireField("reserved", "u16", "0"),
        WireField("image_bytes", "u32", "size of the images in A and B", 2),
        WireField("probation_ms", "u32", "of the armed or testing image; 0 = the board's own"),
        WireField("crc", "u32", "CRC-32 of everything before it"),
    ),
)
