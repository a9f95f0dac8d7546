"""The connection to the broker: MQTT 5 over mutual TLS, a last will, and reconnecting for ever."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable

import aiomqtt
import anyio

from device_agent.backoff import Backoff
from device_agent.config import Settings
from flota.topics import Channel, parse_topic, topic

logger = logging.getLogger(__name__)
LISTENED = (Channel.ASSIGN, Channel.ACK, Channel.CMD)
_PUBLISH_S = 20.0


class Broker:
    """One client of the broker under the device's name.

    Args:
        settings: Device, host and port.
        context: TLS with the device's certificate.
        will: Payload of the retained state that the broker publishes when we are gone without a word.
        received: Called with every message for us; must not block for long.
        connected: Called when subscriptions stand after each connect.
    """

    def __init__(
        self,
        settings: Settings,
        context: ssl.SSLContext,
        *,
        will: bytes,
        received: Callable[[Channel, bytes], Awaitable[None]],
        connected: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._context = context
        self._will = will
        self._received = received
        self._connected = connected
        self._client: aiomqtt.Client | None = None
        self._in_flight: set[anyio.CancelScope] = set()

    @property
    def online(self) -> bool:
        """Whether the broker is reached and our subscriptions stand."""
        return self._client is not None

    async def run(self) -> None:
        """Stay connected until cancelled."""
        backoff = Backoff(first_s=0.25, cap_s=30.0)
        while True:
            try:
                await self._session(backoff)
            except (aiomqtt.MqttError, OSError) as error:
                logger.warning("broker %s:%d: %s", self._settings.mqtt_host, self._settings.mqtt_port, error)
            finally:
                self._client = None
                for scope in self._in_flight:  # their answers will never come; waiting for them would delay the news
                    scope.cancel()
            await anyio.sleep(backoff.next())

    async def publish(self, channel: Channel, payload: bytes, *, retain: bool = False) -> bool:
        """Publish at QoS 1; False when that did not succeed: not connected, or the connection broke."""
        client = self._client
        if client is None:
            return False
        name, scope = topic(self._settings.device, channel), anyio.CancelScope()
        self._in_flight.add(scope)
        try:
            with scope:
                await client.publish(name, payload, qos=1, retain=retain, timeout=_PUBLISH_S)
                return True
        except aiomqtt.MqttError as error:
            logger.warning("publish on %s: %s", channel.value, error)
        finally:
            self._in_flight.discard(scope)
        return False

    async def _session(self, backoff: Backoff) -> None:
        device = self._settings.device
        async with self._new_client() as client:
            for channel in LISTENED:
                await client.subscribe(topic(device, channel), qos=1)
            self._client = client
            backoff.reset()
            logger.info("connected to the broker at %s:%d", self._settings.mqtt_host, self._settings.mqtt_port)
            await self._connected()
            async for message in client.messages:
                parsed = parse_topic(str(message.topic))
                if parsed is not None and isinstance(message.payload, bytes):
                    await self._received(parsed[1], message.payload)

    def _new_client(self) -> aiomqtt.Client:
        device = self._settings.device
        return aiomqtt.Client(
            hostname=self._settings.mqtt_host,
            port=self._settings.mqtt_port,
            identifier=device,
            protocol=aiomqtt.ProtocolVersion.V5,
            tls_context=self._context,
            will=aiomqtt.Will(topic(device, Channel.STATE), self._will, qos=1, retain=True),
            keepalive=self._settings.mqtt_keepalive_s,
            max_queued_incoming_messages=256,
        )
