"""Making a server folder (CA, certificates, online keys, database, settings; all or nothing), and renewing its keys."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fleet_server.broker import SERVICE
from fleet_server.config import ServerConfig, Settings, load_config, save_settings
from fleet_server.database import Database
from fleet_server.errors import ServerExists
from fleet_server.identity import operators
from flota.api.models import NewUser
from flota.errors import StorageError, UsageError
from flota.files import write_atomic
from flota.programs import find_program
from flota.trust.ca import CertificateAuthority
from flota.trust.config import LIMITS
from flota.trust.online import OnlineRepository

INIT = "server init"


@dataclass(frozen=True, slots=True)
class Created:
    """What a new server folder holds for others."""

    folder: Path
    ca: Path
    server_keys: Path


def init_server(folder: Path, settings: Settings, admin: NewUser | None) -> Created:
    """Make a server in ``folder``, which is new or empty.

    Everything is made in a folder beside it, which gets its name at the end.

    Raises:
        MissingTool: Mosquitto is not installed.
        ServerExists: There is something in the folder already.
        UsageError: The host is neither a name nor an address.
        StorageError: The folder cannot be written.
    """
    find_program("mosquitto")
    folder = folder.absolute()
    _check_free(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise _storage(folder, error) from error
    try:
        _fill(ServerConfig(draft, settings), admin)
        draft.rename(folder)
    except OSError as error:
        raise _storage(folder, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    made = ServerConfig(folder, settings)
    return Created(folder=folder, ca=made.ca_certificate, server_keys=made.server_keys)


def rotate_director(folder: Path, *, retire: bool) -> ServerConfig:
    """Make a new director key, or with ``retire`` delete those older than the one that signs; rewrite the key file.

    Safe beside a running server: the old key signs until a release names the new one.

    Raises:
        NoServer, ConfigError: The folder is not a server's.
        UsageError: There are as many director keys as devices take.
        KeyFileError, StorageError: The keys cannot be read or written.
    """
    config = load_config(folder)
    repository = OnlineRepository(config.trust_folder)
    if retire:
        keys = repository.retire_directors()
    elif len(repository.server_keys().director) < LIMITS.director_keys:
        keys = repository.rotate_director()
    else:
        raise UsageError(
            f"there are {LIMITS.director_keys} director keys already",
            hint="publish the newest with a release, then retire the older ones: --retire",
        )
    write_atomic(config.server_keys, keys.to_bytes())
    return config


def issue_certificates(config: ServerConfig, authority: CertificateAuthority) -> None:
    """Write the server's certificate, and the one with which it is a client of the broker."""
    names = list(dict.fromkeys([config.settings.host, "localhost", "127.0.0.1", "::1", *_bound(config.settings.bind)]))
    key, certificate = authority.issue_server(names)
    write_atomic(config.tls_key, key, mode=0o600)
    write_atomic(config.tls_certificate, certificate)
    key, certificate = authority.issue_service(SERVICE)
    write_atomic(config.service_key, key, mode=0o600)
    write_atomic(config.service_certificate, certificate)


def _bound(bind: str) -> list[str]:
    return [] if bind in ("0.0.0.0", "::", "") else [bind]  # noqa: S104 - compared only


def _check_free(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists():
        raise ServerExists(f"{folder} is not empty", hint="give a new folder, or start the server that is there")


def _fill(config: ServerConfig, admin: NewUser | None) -> None:
    config.folder.chmod(0o700)
    authority = CertificateAuthority.create(config.ca_folder)
    issue_certificates(config, authority)
    write_atomic(config.ca_certificate, authority.certificate_pem)
    write_atomic(config.server_keys, OnlineRepository(config.trust_folder).server_keys().to_bytes())
    database = Database(config.database)
    try:
        database.migrate()
        if admin is not None:
            with database.write() as session:
                operators.add_user(session, admin, actor=INIT)
    finally:
        database.close()
    config.broker_folder.mkdir(mode=0o700)
    save_settings(config.folder, config.settings)


def _storage(folder: Path, error: OSError) -> StorageError:
    return StorageError(f"{folder}: {error.strerror or error}", hint="check the path and its permissions")
