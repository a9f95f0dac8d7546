"""The HTTP API: routers, and the dependencies they share. What they do is in :mod:`fleet_server.services`."""
