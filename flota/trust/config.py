"""Every lifetime and limit of the trust folder, with its unit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from tuf.ngclient import UpdaterConfig


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long each signed thing is valid, in days unless the name says otherwise.

    The timestamp is what bounds a freeze attack: a device that is shown old metadata notices after that time.
    The server renews what it signs when half of the lifetime is over, so it may be down for the other half.
    """

    root_days: int = 730
    targets_days: int = 365
    snapshot_days: int = 14
    timestamp_days: int = 2
    ca_days: int = 3650
    server_certificate_days: int = 825
    device_certificate_days: int = 825
    crl_days: int = 30
    backdate_minutes: int = 60
    """Certificates start this long before they are issued: device clocks run late."""

    @property
    def backdate(self) -> timedelta:
        """The backdating as a time span."""
        return timedelta(minutes=self.backdate_minutes)


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds that are checked before bytes are parsed. Sizes in bytes."""

    root_bytes: int = 512_000
    timestamp_bytes: int = 16_384
    snapshot_bytes: int = 2_000_000
    targets_bytes: int = 5_000_000
    director_bytes: int = 16_384
    envelope_bytes: int = 65_536
    csr_bytes: int = 16_384
    root_rotations: int = 256
    director_keys: int = 8

    def updater_config(self) -> UpdaterConfig:
        """The same limits as python-tuf's client takes them."""
        return UpdaterConfig(
            max_root_rotations=self.root_rotations,
            max_delegations=1,
            root_max_length=self.root_bytes,
            timestamp_max_length=self.timestamp_bytes,
            snapshot_max_length=self.snapshot_bytes,
            targets_max_length=self.targets_bytes,
            prefix_targets_with_hash=True,
        )


LIFETIMES = Lifetimes()
LIMITS = Limits()
