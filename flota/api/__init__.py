"""The fleet server's HTTP API as Python sees it: the documents that travel, and a typed client.

Server and client share the models in :mod:`flota.api.models`, so they cannot drift apart.
"""

from flota.api.client import FleetClient
from flota.api.errors import ApiError
from flota.api.session import SESSION_FILE, StoredSession

__all__ = ["SESSION_FILE", "ApiError", "FleetClient", "StoredSession"]
