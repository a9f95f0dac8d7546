"""What travels over MQTT: typed payloads, their CBOR encoding and the limits on both.

QoS 1 delivers at least once and reconnects reorder, so every payload can be applied twice or late without harm: an
assignment carries a counter, telemetry and events carry sequence numbers, a state carries one too.
Times are UTC seconds since the epoch (float); durations are seconds unless the name says otherwise.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Annotated, Literal, TypeVar

import cbor2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flota.errors import FlotaError

MAX_MESSAGE_BYTES = 256 * 1024
MAX_BATCH = 500

Counter = Annotated[int, Field(ge=0, lt=1 << 53)]


class MessageError(FlotaError):
    """A payload is not a message of ours (garbled, too large, of another schema)."""

    code = "message.invalid"


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class DeviceKind(str, Enum):
    """What runs the model: a Linux process of the agent, or a microcontroller behind it."""

    LINUX = "linux"
    MCU = "mcu"


class Phase(str, Enum):
    """Where the agent stands in an update."""

    IDLE = "idle"
    DOWNLOAD = "download"
    VERIFY = "verify"
    INSTALL = "install"
    SELF_TEST = "self-test"
    SWITCH = "switch"
    PROBATION = "probation"
    CONFIRM = "confirm"
    ROLL_BACK = "roll-back"


class Outcome(str, Enum):
    """How an assignment ended on the device."""

    CONFIRMED = "confirmed"
    ROLLED_BACK = "rolled-back"
    REFUSED = "refused"
    FAILED = "failed"


class HealthLimits(_Message):
    """What a version must keep to during probation; None: not judged.

    ``max_latency_ratio`` compares the median latency with the one of the version before it on the same device.
    """

    min_inferences: int = Field(default=20, ge=1)
    max_error_rate: float = Field(default=0.0, ge=0, le=1)
    max_latency_ms: float | None = None
    max_latency_ratio: float | None = None


class Assignment(_Message):
    """«Device D shall run bundle B»: the signed, retained, desired state.

    ``counter`` grows with every assignment to a device; the device refuses one that is lower than the last it took.
    """

    device: str
    counter: Counter
    issued_at: float
    expires_at: float
    model: str
    version: str
    target: str
    path: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=1)
    rollout: str = ""
    reason: Literal["rollout", "rollback", "manual"] = "rollout"
    probation_s: float = Field(default=60.0, gt=0)
    limits: HealthLimits = HealthLimits()


class Running(_Message):
    """A version on the device and the slot it is in."""

    model: str
    version: str
    target: str
    sha256: str
    slot: Literal["A", "B"]
    since: float


class Result(_Message):
    """How the assignment with this counter ended. ``code`` is an error code of ours, empty when confirmed."""

    counter: Counter
    version: str
    outcome: Outcome
    code: str = ""
    detail: str = ""
    at: float


class ReportedState(_Message):
    """What the device says of itself, retained. The last will carries the same with ``online`` false and seq 0."""

    device: str
    seq: Counter
    at: float
    online: bool = True
    kind: DeviceKind = DeviceKind.LINUX
    agent_version: str = ""
    targets: tuple[str, ...] = ()
    board: str = ""
    phase: Phase = Phase.IDLE
    assignment_counter: Counter = 0
    security_floor: int = 0
    running: Running | None = None
    previous: Running | None = None
    last_result: Result | None = None


class TelemetryPoint(_Message):
    """One reading. Names in use: ``inferences``, ``errors``, ``latency_p50_ms``, ``latency_p95_ms``, ``rss_bytes``."""

    seq: Counter
    at: float
    name: str = Field(max_length=64)
    value: float
    version: str = ""


class TelemetryBatch(_Message):
    """Telemetry points in sequence order."""

    device: str
    points: tuple[TelemetryPoint, ...] = Field(max_length=MAX_BATCH)


class EventKind(str, Enum):
    """What can happen on a device that an operator wants to know."""

    STARTED = "started"
    ASSIGNED = "assigned"
    PHASE = "phase"
    SWITCHED = "switched"
    CONFIRMED = "confirmed"
    ROLLED_BACK = "rolled-back"
    REFUSED = "refused"
    FAILED = "failed"


class Event(_Message):
    """One event. ``version`` is the version it is about; after ``switched`` or ``rolled-back`` that one runs."""

    seq: Counter
    at: float
    kind: EventKind
    counter: Counter = 0
    version: str = ""
    code: str = ""
    detail: str = Field(default="", max_length=2000)


class EventBatch(_Message):
    """Events in sequence order."""

    device: str
    events: tuple[Event, ...] = Field(max_length=MAX_BATCH)


class Ack(_Message):
    """Everything up to these sequence numbers is stored by the server; the device may drop it."""

    telemetry: Counter = 0
    events: Counter = 0


class Command(_Message):
    """A diagnostic the device may be asked for; anything else is refused."""

    id: str = Field(max_length=64)
    name: Literal["ping", "status", "self-test", "bench", "log"]


class Reply(_Message):
    """The answer to a command: ``ok`` with CBOR-able values, or an error code and its text."""

    id: str
    ok: bool
    code: str = ""
    values: dict[str, str | int | float | bool] = {}


MessageT = TypeVar("MessageT", bound=_Message)


def encode(message: _Message) -> bytes:
    """CBOR (RFC 8949, deterministic encoding) of a message.

    Raises:
        MessageError: It would exceed ``MAX_MESSAGE_BYTES``.
    """
    data = cbor2.dumps(message.model_dump(mode="json"), canonical=True)
    if len(data) > MAX_MESSAGE_BYTES:
        raise MessageError(f"message of {len(data)} bytes is over {MAX_MESSAGE_BYTES}", hint="send smaller batches")
    return data


def decode(kind: type[MessageT], data: bytes) -> MessageT:
    """The message in ``data``.

    Raises:
        MessageError: Too large, not CBOR, or not of this kind.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise MessageError(f"{kind.__name__}: {len(data)} bytes is over {MAX_MESSAGE_BYTES}")
    try:
        return kind.model_validate_json(_json_of(cbor2.loads(data), len(data)), strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise MessageError(f"{kind.__name__}: {where}: {first['msg']}") from error
    except Exception as error:  # cbor2 raises many kinds on hostile bytes; all mean the same here
        raise MessageError(f"{kind.__name__}: not CBOR of ours ({type(error).__name__})") from error


def _json_of(value: object, size: int) -> bytes:
    """Through JSON, so that CBOR tags, byte strings and NaN cannot enter where no field expects them.

    CBOR can refer to a value it holds already (tags 25 and 29), so few bytes can stand for gigabytes of JSON. Without
    such references a value costs at least the byte it came in: ``size`` bytes cannot honestly hold more.
    """
    _check_plain(value, size)
    return json.dumps(value, allow_nan=False).encode()


def _check_plain(value: object, budget: int) -> None:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        budget -= 1 + (len(item) if isinstance(item, str) else 0)
        if budget < 0:
            raise ValueError("larger than it came")
        if isinstance(item, dict):
            if not all(isinstance(key, str) for key in item):
                raise ValueError("a key is not text")
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            waiting += item
        elif item is not None and not isinstance(item, (str, int, float)):
            raise ValueError("not a plain value")
