"""The journal: the agent's whole state in one file, replaced atomically before an effect becomes visible.

The file is JSON: schema version, SHA-256 of the state's text, the state. A torn write cannot happen (see
:func:`flota.files.write_atomic`); the digest tells a rotten medium from a bug.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from device_agent.errors import JournalError
from device_agent.state import AgentState
from flota.errors import StorageError
from flota.files import sha256_hex, write_atomic

SCHEMA = 1
_STATE = TypeAdapter(AgentState)


class Journal:
    """The journal in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> AgentState | None:
        """The state that was saved last; None where there is no journal yet.

        Raises:
            StorageError: The file cannot be read.
            JournalError: It is damaged, or of a newer agent.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{self.path}: {error.strerror or error}", hint="check permissions") from error
        return _decode(data, self.path)

    def save(self, state: AgentState) -> None:
        """Make ``state`` the one that :meth:`load` returns, durably.

        Raises:
            StorageError: The disk is full or broken; the former state stays.
        """
        text = _STATE.dump_json(state).decode()
        document = {"schema": SCHEMA, "sha256": sha256_hex(text.encode()), "state": text}
        write_atomic(self.path, json.dumps(document).encode(), mode=0o600)


def _decode(data: bytes, path: Path) -> AgentState:
    hint = "the agent can start over: move the file away; it keeps the model it runs"
    try:
        document = json.loads(data)
        schema, digest, text = document["schema"], document["sha256"], str(document["state"])
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(f"{path} is not a journal", hint=hint) from error
    if schema != SCHEMA:
        raise JournalError(f"{path} has schema {schema}, this agent writes {SCHEMA}", hint="install the newer agent")
    if digest != sha256_hex(text.encode()):
        raise JournalError(f"{path} is damaged", hint=hint)
    try:
        return _STATE.validate_json(text)
    except ValidationError as error:
        raise JournalError(f"{path}: {error.errors()[0]['msg']}", hint=hint) from error
