"""The agent's one configuration object, and ``agent.toml``, which `flota agent enrol` writes."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from device_agent.errors import NotEnrolled
from flota.errors import ConfigError, FlotaError
from flota.files import write_atomic
from flota.topics import check_device_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIG_NAME = "agent.toml"


class Settings(BaseModel):
    """What ``agent.toml`` may say. Times in seconds; ports are TCP ports.

    ``board_port`` is the pyserial URL of a microcontroller; empty: this machine itself is the device.
    ``http_port`` is the loopback port of the inference server; 0: Unix socket only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str
    mqtt_host: str
    mqtt_port: int = Field(ge=1, le=65535)
    artifacts_url: str = Field(pattern=r"^https://")
    board_port: str = ""
    http_port: int = Field(default=0, ge=0, le=65535)
    probe_interval_s: float = Field(default=1.0, gt=0)
    telemetry_interval_s: float = Field(default=10.0, gt=0)
    telemetry_max_points: int = Field(default=20_000, ge=500)
    mqtt_keepalive_s: int = Field(default=30, ge=5, le=3600)

    @field_validator("device")
    @classmethod
    def _named(cls, name: str) -> str:
        try:
            return check_device_name(name)
        except FlotaError as error:
            raise ValueError(error.message) from error

    def to_toml(self) -> str:
        """The file's text; JSON strings and numbers are TOML ones too."""
        lines = [f"{key} = {json.dumps(value)}" for key, value in self.model_dump().items()]
        return "# Written by `flota agent enrol`; read when the agent starts.\n" + "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Everything one agent process knows of its surroundings: the settings, and where its files are."""

    folder: Path
    settings: Settings

    @property
    def key(self) -> Path:
        """The device's private key (PEM, 0600)."""
        return self.folder / "identity" / "key.pem"

    @property
    def certificate(self) -> Path:
        """The device's certificate (PEM)."""
        return self.folder / "identity" / "certificate.pem"

    @property
    def ca(self) -> Path:
        """The certificate of the fleet's CA (PEM)."""
        return self.folder / "identity" / "ca.pem"

    @property
    def root(self) -> Path:
        """The TUF root metadata of enrolment."""
        return self.folder / "identity" / "root.json"

    @property
    def trust(self) -> Path:
        """Trusted TUF metadata."""
        return self.folder / "trust"

    @property
    def journal(self) -> Path:
        """The journal."""
        return self.folder / "journal.json"

    @property
    def slots(self) -> Path:
        """Slots A and B, and the pointer."""
        return self.folder / "slots"

    @property
    def downloads(self) -> Path:
        """Bundles on their way to a slot."""
        return self.folder / "downloads"

    @property
    def telemetry(self) -> Path:
        """Readings the server did not acknowledge yet."""
        return self.folder / "telemetry"

    @property
    def socket(self) -> Path:
        """The Unix socket of the inference server."""
        return self.folder / "run" / "agent.sock"

    @property
    def lock(self) -> Path:
        """Held by the one agent process of this folder."""
        return self.folder / "run" / "lock"


def load_config(folder: Path) -> AgentConfig:
    """Read the configuration in ``folder``.

    Raises:
        NotEnrolled: There is none.
        ConfigError: It cannot be read or is not valid.
    """
    path = folder / CONFIG_NAME
    try:
        values = tomllib.loads(path.read_text("utf-8"))
        return AgentConfig(folder=folder.resolve(), settings=Settings.model_validate(values))
    except FileNotFoundError as error:
        raise NotEnrolled(
            f"{folder} holds no enrolled agent", hint="enrol it first: flota agent enrol --server URL --token T …"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}", hint="check the permissions of that file") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {where}: {first['msg']}", hint="correct that line") from error
    except ValueError as error:  # TOML syntax, or not UTF-8
        raise ConfigError(f"{path}: {error}", hint="correct that line") from error


def save_config(config: AgentConfig) -> None:
    """Write ``agent.toml``. Raises StorageError when it cannot be written."""
    write_atomic(config.folder / CONFIG_NAME, config.settings.to_toml().encode())
