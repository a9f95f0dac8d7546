"""The server's one configuration object, and the layout of its folder.

Folder::

    server.json        what may be changed by hand: addresses, ports, lifetimes, limits
    ports.json         the ports chosen where server.json says 0; kept, so that a restart uses the same
    ca.pem             the fleet CA's certificate, for everyone who connects
    server-keys.json   the public half of the online keys, for ``flota release init --server-keys``
    ca/ tls/ trust/    CA, the server's own certificates, the TUF repository with its online keys
    fleet.sqlite       the database (WAL)
    broker/            Mosquitto: configuration, ACL, retained messages, log, process id
    uploads/           releases while they are being received
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fleet_server.errors import NoServer
from flota.errors import ConfigError
from flota.files import write_atomic


class Settings(BaseModel):
    """``server.json``. Times in seconds, sizes in bytes; port 0: choose a free one once and keep it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    """The name or address that clients connect to; it is in the server's certificate."""
    bind: str = "127.0.0.1"
    """The address to listen on."""
    port: int = Field(default=8443, ge=0, le=65535)
    device_port: int = Field(default=8444, ge=0, le=65535)
    mqtt_port: int = Field(default=8883, ge=0, le=65535)
    session_s: float = Field(default=12 * 3600.0, gt=0)
    enrolment_token_s: float = Field(default=24 * 3600.0, gt=0)
    assignment_s: float = Field(default=90 * 86_400.0, gt=0)
    """How long a signed assignment is valid; it is renewed when half of that is over."""
    tick_s: float = Field(default=0.5, gt=0, le=60)
    """The longest time between two looks at the rollouts; a report of a device causes one at once."""
    lease_s: float = Field(default=3.0, gt=0)
    telemetry_days: float = Field(default=30.0, gt=0)
    telemetry_max_rows: int = Field(default=5_000_000, ge=1000)
    max_upload_bytes: int = Field(default=2 << 30, ge=1)
    login_failures: int = Field(default=5, ge=1)
    login_block_s: float = Field(default=30.0, gt=0)


class Ports(BaseModel):
    """``ports.json``: TCP ports in use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    http: int
    device: int
    mqtt: int


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Everything one server process knows of its surroundings."""

    folder: Path
    settings: Settings

    @property
    def ports_file(self) -> Path:
        """``ports.json``."""
        return self.folder / "ports.json"

    @property
    def ca_folder(self) -> Path:
        """The certificate authority."""
        return self.folder / "ca"

    @property
    def ca_certificate(self) -> Path:
        """The CA's certificate (PEM), for others to copy."""
        return self.folder / "ca.pem"

    @property
    def server_keys(self) -> Path:
        """The public half of the online keys, for the publisher."""
        return self.folder / "server-keys.json"

    @property
    def tls_certificate(self) -> Path:
        """The server certificate (PEM)."""
        return self.folder / "tls" / "server.pem"

    @property
    def tls_key(self) -> Path:
        """The server certificate's key (PEM, 0600)."""
        return self.folder / "tls" / "server.key.pem"

    @property
    def service_certificate(self) -> Path:
        """The certificate with which the server is a client of the broker (PEM)."""
        return self.folder / "tls" / "service.pem"

    @property
    def service_key(self) -> Path:
        """Its key (PEM, 0600)."""
        return self.folder / "tls" / "service.key.pem"

    @property
    def trust_folder(self) -> Path:
        """The online TUF repository."""
        return self.folder / "trust"

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.folder / "fleet.sqlite"

    @property
    def broker_folder(self) -> Path:
        """Mosquitto's files."""
        return self.folder / "broker"

    @property
    def uploads(self) -> Path:
        """Releases while they are being received."""
        return self.folder / "uploads"

    def url(self, port: int) -> str:
        """An HTTPS address of this server."""
        return f"https://{bracketed(self.settings.host)}:{port}"


def bracketed(host: str) -> str:
    """The host as it stands in a URL: IPv6 addresses in brackets."""
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host


def load_config(folder: Path) -> ServerConfig:
    """The configuration in ``folder``.

    Raises:
        NoServer: There is none.
        ConfigError: It is not valid.
    """
    path = folder / "server.json"
    try:
        return ServerConfig(folder.resolve(), Settings.model_validate_json(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoServer(f"{folder} holds no fleet server", hint=f"make one with: flota server init {folder}") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}", hint="check its permissions") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {where}: {first['msg']}", hint="correct that entry") from error


def load_ports(config: ServerConfig) -> Ports | None:
    """The ports chosen before, or None.

    Raises:
        ConfigError: The file is damaged.
    """
    try:
        return Ports.model_validate_json(config.ports_file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ConfigError(
            f"{config.ports_file} is damaged",
            hint="delete it; free ports are chosen again, and devices need the new ones",
        ) from error


def save_settings(folder: Path, settings: Settings) -> None:
    """Write ``server.json``."""
    write_atomic(folder / "server.json", settings.model_dump_json(indent=1).encode() + b"\n")


def save_ports(config: ServerConfig, ports: Ports) -> None:
    """Write ``ports.json``."""
    write_atomic(config.ports_file, ports.model_dump_json(indent=1).encode() + b"\n")
