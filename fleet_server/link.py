"""The server's connection to the broker: devices' messages in, assignments, acknowledgements and commands out.

It reconnects by itself. After every connect all desired states are published again, so a broker that lost its disk gets
them back; to a device that knows them they are nothing new.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

import aiomqtt
import anyio
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from sqlalchemy.exc import SQLAlchemyError

from fleet_server import assignments, ingest
from fleet_server.broker import SERVICE, Broker
from fleet_server.database import Database
from fleet_server.errors import BrokerFailed, NotAnsweringDevice
from flota.api.models import CommandRequest
from flota.messages import (
    Ack,
    EventBatch,
    MessageError,
    Reply,
    ReportedState,
    TelemetryBatch,
    decode,
    encode,
)
from flota.topics import FROM_DEVICE, Channel, parse_topic, subscription, topic

_RETRY_S = 0.3
_KEEPALIVE_S = 15
_QOS = 1
_SESSION_EXPIRY_S = 3600

log = logging.getLogger("flota.link")


@dataclass(slots=True)
class Figures:
    """What ``/metrics`` tells of the link since the server started."""

    messages: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    connects: int = 0
    published: int = 0


class Link:
    """Runs in the server's event loop; database work goes to threads, one message at a time."""

    def __init__(self, database: Database, broker: Broker, *, on_state: Callable[[], None]) -> None:
        self._database = database
        self._broker = broker
        self._on_state = on_state
        self._client: aiomqtt.Client | None = None
        self._publishing = asyncio.Lock()
        self._asked: dict[tuple[str, str], asyncio.Future[Reply]] = {}
        self._in_flight: set[anyio.CancelScope] = set()
        self.figures = Figures()

    @property
    def connected(self) -> bool:
        """Whether the broker hears us."""
        return self._client is not None

    async def run(self) -> None:
        """Keep connected until cancelled."""
        while True:
            try:
                await self._session()
            except (aiomqtt.MqttError, OSError) as error:
                log.info("not connected to the broker: %s", error)
            except SQLAlchemyError as error:  # a full disk must not end the server; the next connect tries again
                log.error("not connected to the broker, desired states cannot be marked: %s", error)
            finally:
                self._client = None
                for scope in self._in_flight:
                    scope.cancel()
            await asyncio.sleep(_RETRY_S)

    async def publish_pending(self) -> None:
        """Publish every desired state that the broker does not have; what fails stays pending."""
        async with self._publishing:
            for outgoing in await asyncio.to_thread(self._pending):
                client = self._client
                if client is None:
                    return
                try:
                    name = topic(outgoing.device, Channel.ASSIGN)
                    await self._send(client, name, outgoing.envelope, retain=True)
                except aiomqtt.MqttError as error:
                    log.info("assignment %s of %s waits: %s", outgoing.counter, outgoing.device, error)
                    return
                self.figures.published += 1
                await asyncio.to_thread(self._mark, outgoing.device, outgoing.counter)

    async def forget(self, device: str) -> None:
        """Take back what is retained for a device that was revoked; with the broker away, nothing is."""
        with contextlib.suppress(aiomqtt.MqttError):
            for channel in (Channel.ASSIGN, Channel.STATE):
                if self._client is not None:
                    await self._send(self._client, topic(device, channel), b"", retain=True)

    async def ask(self, device: str, request: CommandRequest) -> Reply:
        """Send a command to a device and wait for its answer.

        Raises:
            BrokerFailed: The broker is not reachable.
            NotAnsweringDevice: No answer within the request's time.
        """
        command = request.command(secrets.token_hex(8))
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._asked[device, command.id] = answer
        try:
            if self._client is None:
                raise BrokerFailed("the broker is not reachable", hint="it is being started; try again in a moment")
            await self._send(self._client, topic(device, Channel.CMD), encode(command))
            return await asyncio.wait_for(answer, request.timeout_s)
        except aiomqtt.MqttError as error:
            raise BrokerFailed(f"the broker did not take the command: {error}", hint="try again") from error
        except asyncio.TimeoutError as error:
            raise NotAnsweringDevice(
                f"{device} did not answer within {request.timeout_s:g} s", hint="is it online? see `flota device show`"
            ) from error
        finally:
            self._asked.pop((device, command.id), None)

    async def _send(self, client: aiomqtt.Client, name: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish; a connection that ends takes along what waits for an answer on it. Raises MqttError."""
        scope = anyio.CancelScope()
        self._in_flight.add(scope)
        try:
            with scope:
                await client.publish(name, payload, qos=_QOS, retain=retain)
        finally:
            self._in_flight.discard(scope)
        if scope.cancelled_caught:
            raise aiomqtt.MqttError("the connection ended")

    async def _session(self) -> None:
        tls = _tls(self._broker)
        async with aiomqtt.Client(
            self._broker.connect_host,
            self._broker.port,
            identifier=SERVICE,
            protocol=aiomqtt.ProtocolVersion.V5,
            keepalive=_KEEPALIVE_S,
            tls_context=tls,
            clean_start=False,
            properties=_session_properties(),
        ) as client:
            for channel in sorted(FROM_DEVICE):
                await client.subscribe(subscription(channel), qos=_QOS)
            await asyncio.to_thread(self._all_pending)
            self._client = client
            self.figures.connects += 1
            self._on_state()
            async for message in client.messages:
                await self._take(str(message.topic), bytes(message.payload or b""))

    async def _take(self, name: str, payload: bytes) -> None:
        parsed = parse_topic(name)
        if parsed is None or not payload:
            return
        device, channel = parsed
        self.figures.messages[channel.value] = self.figures.messages.get(channel.value, 0) + 1
        try:
            if channel is Channel.REPLY:
                self._answered(device, decode(Reply, payload))
                return
            ack = await asyncio.to_thread(self._store, device, channel, payload)
        except MessageError as error:
            self.figures.refused += 1
            log.warning("%s on %s refused: %s", device, channel.value, error.message)
            return
        except SQLAlchemyError as error:  # a full disk: what is not acknowledged, the device sends again
            log.error("%s on %s not stored: %s", device, channel.value, error)
            return
        if ack is not None and self._client is not None:
            # QoS 0: this is the loop that notices a lost connection, and a device asks for a lost answer by itself.
            await self._client.publish(topic(device, Channel.ACK), encode(ack), qos=0)
        if channel is Channel.STATE:
            self._on_state()

    def _answered(self, device: str, reply: Reply) -> None:
        waiting = self._asked.get((device, reply.id))
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    def _store(self, device: str, channel: Channel, payload: bytes) -> Ack | None:
        if channel is Channel.STATE:
            state = decode(ReportedState, payload)
            with self._database.write() as session:
                ingest.store_state(session, device, state)
            return None
        if channel is Channel.TELEMETRY:
            readings = decode(TelemetryBatch, payload)
            with self._database.write() as session:
                return ingest.store_telemetry(session, device, readings).ack
        events = decode(EventBatch, payload)
        with self._database.write() as session:
            return ingest.store_events(session, device, events).ack

    def _pending(self) -> list[assignments.Outgoing]:
        with self._database.read() as session:
            return assignments.unpublished(session)

    def _all_pending(self) -> None:
        with self._database.write() as session:
            assignments.mark_all_unpublished(session)

    def _mark(self, device: str, counter: int) -> None:
        with self._database.write() as session:
            assignments.mark_published(session, device, counter)


def _session_properties() -> Properties:
    """The broker keeps what devices say while we are away for a while."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no hints here
    properties.SessionExpiryInterval = _SESSION_EXPIRY_S
    return properties


def _tls(broker: Broker) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(broker.config.ca_certificate))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(broker.config.service_certificate, broker.config.service_key)
    return context
