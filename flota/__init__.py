"""The contract every part of Flota shares, and the ``flota`` command.

This package imports nothing else of ours: models, optimize, device_agent, fleet_server and hil build on it
and meet only through it and over the wire.
"""

__version__ = "0.1.0"
