"""What the server hears: the state (retained), events and telemetry until it acknowledged them."""

from __future__ import annotations

import logging
import time

import anyio

from device_agent.installers.base import Installer
from device_agent.machine import Machine
from device_agent.mqtt import Broker
from device_agent.state import Acked, AgentState
from device_agent.telemetry import TelemetryQueue
from flota import __version__
from flota.errors import StorageError
from flota.messages import Ack, EventBatch, ReportedState, encode
from flota.topics import Channel

logger = logging.getLogger(__name__)
RESEND_S = 10.0
EVENTS_A_BATCH = 64
_IN_FLIGHT_BATCHES = 8


class Reporter:
    """Publishes whatever is new whenever it is poked, and everything unacknowledged after each connect."""

    def __init__(
        self, device: str, broker: Broker, machine: Machine, installer: Installer, queue: TelemetryQueue
    ) -> None:
        self._device = device
        self._broker = broker
        self._machine = machine
        self._installer = installer
        self._queue = queue
        self._poked = anyio.Event()
        self._state_seq = self._event_seq = self._telemetry_seq = -1
        self._unanswered_since: float | None = None
        self._acked = Ack()

    def poke(self) -> None:
        """There is something new."""
        self._poked.set()

    def start_over(self) -> None:
        """A new connection: nothing that was sent on the old one is known to have arrived."""
        self._state_seq = self._event_seq = self._telemetry_seq = -1
        self.poke()

    async def acknowledged(self, ack: Ack) -> None:
        """The server stored things."""
        await self._machine.post(Acked(time.time(), ack.events))
        try:
            self._queue.ack(ack.telemetry)
        except StorageError as error:
            logger.error("telemetry: %s", error.message)
        self._note_answer(ack)
        self.poke()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            with anyio.move_on_after(RESEND_S):
                await self._poked.wait()
            self._poked = anyio.Event()
            since = self._unanswered_since
            if since is not None and anyio.current_time() - since > RESEND_S:
                self._event_seq = self._telemetry_seq = -1
                self._unanswered_since = None
            if self._broker.online:
                try:
                    await self._publish()
                except StorageError as error:
                    logger.error("telemetry: %s", error.message)

    async def goodbye(self) -> None:
        """Say that we are going offline on purpose."""
        await self._broker.publish(Channel.STATE, encode(self.state(online=False)), retain=True)

    def state(self, *, online: bool = True) -> ReportedState:
        """What we say of ourselves."""
        return reported_state(self._device, self._machine.state, self._installer, online=online)

    async def _publish(self) -> None:
        machine = self._machine
        if machine.state.seq != self._state_seq:
            seq = machine.state.seq
            if await self._broker.publish(Channel.STATE, encode(self.state()), retain=True):
                self._state_seq = seq
        await self._publish_events(machine.state)
        await self._publish_telemetry()

    async def _publish_events(self, state: AgentState) -> None:
        fresh = [event for event in state.outbox if event.seq > self._event_seq]
        for start in range(0, len(fresh), EVENTS_A_BATCH):
            events = tuple(fresh[start : start + EVENTS_A_BATCH])
            if not await self._broker.publish(Channel.EVENT, encode(EventBatch(device=self._device, events=events))):
                return
            self._event_seq = events[-1].seq
            self._sent()

    async def _publish_telemetry(self) -> None:
        sent = 0
        for batch in self._queue.batches():
            if batch.points[-1].seq <= self._telemetry_seq:
                continue
            if sent >= _IN_FLIGHT_BATCHES or not await self._broker.publish(Channel.TELEMETRY, encode(batch)):
                return
            self._telemetry_seq = batch.points[-1].seq
            self._sent()
            sent += 1

    def _note_answer(self, ack: Ack) -> None:
        """An answer that leaves out what was sent (a message got lost on the way) does not stop the clock."""
        if ack.telemetry >= self._telemetry_seq and ack.events >= self._event_seq:
            self._unanswered_since = None
        elif max(ack.telemetry - self._acked.telemetry, ack.events - self._acked.events) > 0:
            self._unanswered_since = anyio.current_time()
        self._acked = ack

    def _sent(self) -> None:
        if self._unanswered_since is None:
            self._unanswered_since = anyio.current_time()


def reported_state(device: str, state: AgentState, installer: Installer, *, online: bool) -> ReportedState:
    """The message about ``state``."""
    return ReportedState(
        device=device,
        seq=state.seq,
        at=time.time(),
        online=online,
        kind=installer.kind,
        agent_version=__version__,
        targets=installer.targets,
        board=installer.board,
        phase=state.phase,
        assignment_counter=state.counter,
        security_floor=state.security_floor,
        running=state.running,
        previous=state.previous,
        last_result=state.last_result,
    )


def will_of(device: str, installer: Installer) -> bytes:
    """The last will: the same message with ``online`` false and sequence number 0."""
    will = ReportedState(
        device=device, seq=0, at=time.time(), online=False, kind=installer.kind, targets=installer.targets
    )
    return encode(will)
