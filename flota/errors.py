"""The base of every error Flota raises on purpose.

A ``FlotaError`` is a finished sentence for a person, a stable ``code`` for machines and a ``hint`` that says what
to do next. Each folder derives one base class of its own; foreign exceptions are wrapped where they enter.
"""

from __future__ import annotations

from typing import ClassVar


class FlotaError(Exception):
    """An error with a message, a machine-readable code and a hint.

    Args:
        message: One line: what went wrong, with the value that was wrong.
        hint: One line: what the reader can do about it; empty when there is nothing to add.
    """

    code: ClassVar[str] = "flota.error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(FlotaError):
    """The command was called with a value that does not exist or cannot be used."""

    code = "usage"
    exit_code = 2


class MissingTool(FlotaError):
    """A program Flota needs is not installed."""

    code = "tool.missing"


class MissingExtra(FlotaError):
    """A Python package of an optional extra is not installed."""

    code = "extra.missing"


class StorageError(FlotaError):
    """A file could not be read or written (permissions, full disk, I/O error)."""

    code = "storage"


class ConfigError(FlotaError):
    """A configuration file is missing, unreadable or not valid."""

    code = "config"
