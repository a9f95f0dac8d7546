"""Alembic's migrations; they are run when the server starts."""
