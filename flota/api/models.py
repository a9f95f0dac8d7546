"""The JSON documents of ``/api/v1``. Times are UTC seconds since the epoch, durations seconds, sizes bytes."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from flota.errors import FlotaError
from flota.messages import Command, DeviceKind, HealthLimits, Outcome, ReportedState
from flota.topics import check_device_name

API = "/api/v1"

Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$")]
UserName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?$")]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
MIN_PASSWORD = 8


class Document(BaseModel):
    """Base: immutable, and an unknown field is a mistake of the sender."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Answer(BaseModel):
    """Base of what the server answers: a newer server may add fields."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Problem(Answer):
    """Every error."""

    code: str
    message: str
    hint: str = ""


# ---- operators


class Role(str, Enum):
    """What a user may do: look, or also change."""

    VIEWER = "viewer"
    OPERATOR = "operator"


class Credentials(Document):
    """POST /session."""

    username: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    password: Secret


class Session(Answer):
    """A bearer token."""

    token: str
    expires_at: float
    username: str
    role: Role


class User(Answer):
    """An account."""

    name: str
    role: Role
    created_at: float
    disabled: bool = False


class NewUser(Document):
    """POST /users."""

    name: UserName
    password: Annotated[str, StringConstraints(min_length=MIN_PASSWORD, max_length=1024)]
    role: Role = Role.OPERATOR


# ---- devices


class NewDevice(Document):
    """POST /devices."""

    name: str
    kind: DeviceKind = DeviceKind.LINUX
    target: Label = "linux-litert"
    board: Annotated[str, StringConstraints(max_length=64)] = ""
    group: Label = "default"

    @field_validator("name")
    @classmethod
    def _named(cls, name: str) -> str:
        try:
            return check_device_name(name)
        except FlotaError as error:
            raise ValueError(error.message) from error


class EnrolmentToken(Answer):
    """The one-time token of a registered device; it is shown once."""

    device: str
    token: str
    expires_at: float


class Enrolment(Document):
    """POST /enrol: the token is the credential."""

    token: Secret
    csr_pem: Annotated[str, StringConstraints(max_length=16_384)]


class Enrolled(Answer):
    """What a device needs to take part. ``artifacts_url`` is the base of TUF metadata and artifact paths."""

    device: str
    certificate_pem: str
    ca_pem: str
    mqtt_host: str
    mqtt_port: int
    artifacts_url: str
    tuf_root: str


class DeviceView(Answer):
    """A device: what it was registered as, what it shall run and what it says it runs."""

    name: str
    kind: DeviceKind
    target: str
    board: str
    group: str
    status: Literal["registered", "enrolled", "revoked"]
    online: bool
    last_seen_at: float | None
    phase: str
    running_model: str
    running_version: str
    running_since: float | None
    desired_model: str
    desired_version: str
    desired_counter: int
    last_outcome: Outcome | None
    last_code: str
    created_at: float


class DeviceDetail(DeviceView):
    """A device with its reported state as it sent it."""

    reported: ReportedState | None


class Ran(Answer):
    """One version that ran on a device, since when, and why it came."""

    version: str
    model: str
    reason: Literal["rollout", "rollback", "manual", "factory"]
    at: float


class CommandRequest(Document):
    """POST /devices/{name}/command."""

    name: Literal["ping", "status", "self-test", "bench", "log"]
    timeout_s: float = Field(default=10.0, gt=0, le=120)

    def command(self, identity: str) -> Command:
        """The message for the device."""
        return Command(id=identity, name=self.name)


class ManualAssignment(Document):
    """POST /devices/{name}/assign: one device, outside any rollout."""

    model: Label
    version: str
    probation_s: float = Field(default=60.0, gt=0, le=86_400)
    limits: HealthLimits = HealthLimits()


class Assigned(Answer):
    """The assignment that was made."""

    device: str
    counter: int
    model: str
    version: str


class GroupView(Answer):
    """A group and its devices."""

    name: str
    description: str
    devices: tuple[str, ...]


class NewGroup(Document):
    """POST /groups; ``devices`` are moved into it."""

    name: Label
    description: Annotated[str, StringConstraints(max_length=500)] = ""
    devices: tuple[str, ...] = ()


# ---- releases


class BundleView(Answer):
    """One bundle of a release."""

    target: str
    path: str
    sha256: str
    size: int


class ReleaseView(Answer):
    """A model version and its bundles."""

    model: str
    version: str
    security_floor: int
    bundles: tuple[BundleView, ...]


class Published(Answer):
    """The outcome of POST /releases."""

    targets_version: int
    new: tuple[str, ...]


# ---- rollouts


class Wave(Document):
    """How many devices a wave takes: a number, or percent of all devices of the rollout (rounded up)."""

    size: int | None = Field(default=None, ge=1)
    percent: float | None = Field(default=None, gt=0, le=100)

    @model_validator(mode="after")
    def _one(self) -> Wave:
        if (self.size is None) == (self.percent is None):
            raise ValueError("a wave has either a size or a percent")
        return self


class NewRollout(Document):
    """POST /rollouts: a release to devices (in this order) or to a group (by name).

    ``success_threshold`` is the least share of a wave's devices that must confirm; more than ``max_failures`` failed
    devices in the whole rollout fail it, too (None: only the share counts). A device silent for ``timeout_s``
    counts as failed. Devices left over by ``waves`` make one more wave.
    """

    model: Label
    version: str
    devices: tuple[str, ...] = ()
    group: str = ""
    waves: tuple[Wave, ...] = (Wave(percent=100),)
    success_threshold: float = Field(default=1.0, gt=0, le=1)
    max_failures: int | None = Field(default=None, ge=0)
    probation_s: float = Field(default=60.0, gt=0, le=86_400)
    wave_soak_s: float = Field(default=0.0, ge=0, le=604_800)
    timeout_s: float = Field(default=3600.0, gt=0, le=2_592_000)
    limits: HealthLimits = HealthLimits()

    @model_validator(mode="after")
    def _one(self) -> NewRollout:
        if bool(self.devices) == bool(self.group):
            raise ValueError("a rollout goes either to devices or to a group")
        if len(set(self.devices)) != len(self.devices):
            raise ValueError("a device is named twice")
        return self


class RolloutStatus(str, Enum):
    """Where a rollout stands; the last three are final."""

    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED = "aborted"


class MemberState(str, Enum):
    """Where a device stands in a rollout."""

    WAITING = "waiting"
    ASSIGNED = "assigned"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    REVERTING = "reverting"
    REVERTED = "reverted"
    KEPT = "kept"
    REVERT_FAILED = "revert-failed"


class WaveStatus(str, Enum):
    """Where a wave stands."""

    PENDING = "pending"
    ACTIVE = "active"
    SOAKING = "soaking"
    PASSED = "passed"
    FAILED = "failed"


class MemberView(Answer):
    """One device of a rollout. ``code`` and ``detail`` are the device's own words for a failure."""

    device: str
    wave: int
    state: MemberState
    phase: str
    online: bool
    running_version: str
    previous_version: str
    counter: int
    code: str
    detail: str
    assigned_at: float | None
    finished_at: float | None


class WaveView(Answer):
    """A wave with its gate: ``success_rate`` (of all its devices) must reach ``success_threshold``."""

    index: int
    status: WaveStatus
    devices: tuple[str, ...]
    succeeded: int
    failed: int
    pending: int
    success_rate: float
    success_threshold: float


class RolloutSummary(Answer):
    """A rollout in a list."""

    id: int
    model: str
    version: str
    status: RolloutStatus
    wave: int
    waves: int
    devices: int
    succeeded: int
    failed: int
    created_by: str
    created_at: float
    finished_at: float | None
    reason: str


class RolloutView(RolloutSummary):
    """A rollout with its waves, devices and gate values."""

    failures: int
    max_failures: int
    success_threshold: float
    probation_s: float
    wave_soak_s: float
    timeout_s: float
    limits: HealthLimits
    wave_views: tuple[WaveView, ...]
    members: tuple[MemberView, ...]
    settled: bool
    """True when the status is final and no device is still on its way (back)."""


class AbortRequest(Document):
    """POST /rollouts/{id}/abort: ``rollback`` takes every device that was moved back to what it ran before."""

    rollback: bool = True


# ---- what was recorded


class TelemetryView(Answer):
    """One reading of a device."""

    device: str
    seq: int
    at: float
    name: str
    value: float
    version: str


class EventView(Answer):
    """One event of a device."""

    device: str
    seq: int
    at: float
    kind: str
    counter: int
    version: str
    code: str
    detail: str


class AuditView(Answer):
    """One line of the audit log; ``hash`` covers this line and ``previous_hash``."""

    id: int
    at: float
    actor: str
    action: str
    subject: str
    detail: dict[str, str]
    previous_hash: str
    hash: str


class AuditCheck(Answer):
    """Whether the chain of hashes is whole; ``first_bad`` is the first line that does not fit."""

    entries: int
    intact: bool
    first_bad: int | None
    head: str
