"""The session that ``flota server login`` stores for later commands (0600)."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from flota.api.errors import NotSignedIn
from flota.errors import StorageError
from flota.files import write_atomic

SESSION_FILE = Path(".config") / "flota" / "session.json"
_HINT = "sign in first: flota server login --url URL --ca FILE"


class StoredSession(BaseModel):
    """Where the server is, whom to trust, and who we are there. ``ca_pem`` is the fleet CA's certificate itself."""

    model_config = ConfigDict(frozen=True)

    url: str
    token: str
    ca_pem: str
    username: str
    expires_at: float

    def save(self, path: Path | None = None) -> Path:
        """Write it to ``path`` (default: the user's), readable by the user alone.

        Raises:
            StorageError: It cannot be written.
        """
        path = path or default_path()
        write_atomic(path, self.model_dump_json(indent=1).encode() + b"\n", mode=0o600)
        return path

    @classmethod
    def load(cls, path: Path | None = None) -> StoredSession:
        """Read it.

        Raises:
            NotSignedIn: There is none, or it is damaged.
            StorageError: It cannot be read.
        """
        path = path or default_path()
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise NotSignedIn("not signed in to a fleet server", hint=_HINT) from error
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror or error}", hint="check its permissions") from error
        except ValidationError as error:
            raise NotSignedIn(f"{path} is damaged", hint=_HINT) from error


def default_path() -> Path:
    """``~/.config/flota/session.json``."""
    return Path.home() / SESSION_FILE
