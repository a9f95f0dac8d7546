"""MQTT topics under ``flota/v1/<device>/`` and what travels on each.

=============  =========  ========  ==================================================
topic          direction  retained  payload
=============  =========  ========  ==================================================
``assign``     server →   yes       DSSE envelope (JSON) around :class:`flota.messages.Assignment`
``state``      device →   yes       CBOR :class:`flota.messages.ReportedState`; the last will says offline
``telemetry``  device →   no        CBOR :class:`flota.messages.TelemetryBatch`
``event``      device →   no        CBOR :class:`flota.messages.EventBatch`
``ack``        server →   no        CBOR :class:`flota.messages.Ack`: highest sequence numbers stored
``cmd``        server →   no        CBOR :class:`flota.messages.Command`, allow-listed diagnostics
``reply``      device →   no        CBOR :class:`flota.messages.Reply`
=============  =========  ========  ==================================================
"""

from __future__ import annotations

import re
from enum import Enum

from flota.errors import UsageError

PREFIX = "flota/v1"
_DEVICE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class Channel(str, Enum):
    """The last level of a topic."""

    ASSIGN = "assign"
    STATE = "state"
    TELEMETRY = "telemetry"
    EVENT = "event"
    ACK = "ack"
    CMD = "cmd"
    REPLY = "reply"


FROM_SERVER = frozenset({Channel.ASSIGN, Channel.ACK, Channel.CMD})
FROM_DEVICE = frozenset({Channel.STATE, Channel.TELEMETRY, Channel.EVENT, Channel.REPLY})


def check_device_name(name: str) -> str:
    """Return ``name`` if it can name a device: a DNS label of lower-case letters, digits and inner hyphens.

    Raises:
        UsageError: It cannot; such a name could reach into another device's topics.
    """
    if not _DEVICE.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a device name",
            hint="use 1 to 63 lower-case letters, digits and hyphens, such as press-07",
        )
    return name


def topic(device: str, channel: Channel) -> str:
    """The topic of one device and channel, for example ``flota/v1/press-07/state``."""
    return f"{PREFIX}/{check_device_name(device)}/{channel.value}"


def subscription(channel: Channel) -> str:
    """The server's filter for one channel of every device."""
    return f"{PREFIX}/+/{channel.value}"


def parse_topic(text: str) -> tuple[str, Channel] | None:
    """Split a topic into device and channel, or None where it is not one of ours."""
    if not text.startswith(f"{PREFIX}/"):
        return None
    device, _, channel = text.removeprefix(f"{PREFIX}/").partition("/")
    if not _DEVICE.fullmatch(device) or channel not in {c.value for c in Channel}:
        return None
    return device, Channel(channel)
