"""The database: one engine, short transactions, migrations at start.

SQLite runs in WAL mode with ``synchronous=FULL``: an assignment counter that a device has seen must never be given out
again, not even after a power cut. Writers begin with ``BEGIN IMMEDIATE`` and wait for each other instead of failing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from fleet_server.errors import DatabaseFailed

_BUSY_MS = 15_000
_MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """Sessions on one SQLite file.

    Raises:
        DatabaseFailed: The file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = _engine(path, "BEGIN")
        self._writer = _engine(path, "BEGIN IMMEDIATE")

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one state of the database; nothing it changes is kept."""
        with Session(self._reader) as session:
            yield session

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        """A session whose block is one transaction: committed when it ends, undone when it raises."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def migrate(self) -> None:
        """Bring the schema to the newest revision.

        Raises:
            DatabaseFailed: It cannot be; the schema is as it was.
        """
        try:
            with self._writer.connect() as connection:
                _upgrade(connection)
        except (SQLAlchemyError, CommandError) as error:
            raise DatabaseFailed(
                f"{self.path}: {str(error).splitlines()[0]}",
                hint="it may come from a newer Flota, or be damaged: restore it from its backup",
            ) from error

    def close(self) -> None:
        """Close every connection."""
        self._reader.dispose()
        self._writer.dispose()


def alembic_config() -> Config:
    """Alembic's configuration, without a file."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.commit()


def _engine(path: Path, begin: str) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_MS / 1000})

    @event.listens_for(engine, "connect")
    def _configure(connection, record) -> None:  # type: ignore[no-untyped-def]
        connection.isolation_level = None  # we say BEGIN ourselves, see below
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
