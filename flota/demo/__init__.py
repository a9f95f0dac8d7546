"""The main job, run once on this machine with the real parts: what ``flota demo`` does.

It drives the parts as a user would, through the ``flota`` command and the server's API, and imports none of them.
"""
