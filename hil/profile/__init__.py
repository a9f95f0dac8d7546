"""Profiles: what each operator of a compiled model takes on a board, and what lies where in its memory meanwhile."""

from hil.profile.api import ProfileRequest, profile
from hil.profile.report import MemoryRow, Profile, ProfileReport, ProfileStep

__all__ = ["MemoryRow", "Profile", "ProfileReport", "ProfileRequest", "ProfileStep", "profile"]
