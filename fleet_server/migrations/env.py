"""Alembic's entry point: it migrates the connection that :mod:`fleet_server.database` hands over."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from fleet_server import models  # noqa: F401 - importing them fills the metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
