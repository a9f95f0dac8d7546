"""What the server hears: the state (retained), events and telemetry until it acknowledged them."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

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
RESEND_S = 5.0
EVENTS_A_BATCH = 64
_IN_FLIGHT_BATCHES = 8


@dataclass(slots=True)
class _Stream:
    """Numbered messages of one kind: up to where they were sent, and since when an answer is waited for.

    An answer that leaves out what was sent (a message got lost on the way) does not stop the clock.
    """

    sent: int = -1
    acked: int = 0
    waiting_since: float | None = None

    def note_sent(self, seq: int) -> None:
        self.sent = seq
        if self.waiting_since is None:
            self.waiting_since = anyio.current_time()

    def note_answer(self, seq: int) -> None:
        if seq >= self.sent:
            self.waiting_since = None
        elif seq > self.acked:
            self.waiting_since = anyio.current_time()
        self.acked = max(seq, self.acked)

    def start_over(self) -> None:
        self.sent, self.waiting_since = -1, None

    def start_over_if_overdue(self) -> None:
        if self.waiting_since is not None and anyio.current_time() - self.waiting_since > RESEND_S:
            self.start_over()


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
        self._state_seq = -1
        self._events, self._telemetry = _Stream(), _Stream()

    def poke(self) -> None:
        """There is something new."""
        self._poked.set()

    def start_over(self) -> None:
        """A new connection: nothing that was sent on the old one is known to have arrived."""
        self._state_seq = -1
        self._events.start_over()
        self._telemetry.start_over()
        self.poke()

    async def acknowledged(self, ack: Ack) -> None:
        """The server stored things."""
        await self._machine.post(Acked(time.time(), ack.events))
        try:
            self._queue.ack(ack.telemetry)
        except StorageError as error:
            logger.error("telemetry: %s", error.message)
        self._events.note_answer(ack.events)
        self._telemetry.note_answer(ack.telemetry)
        self.poke()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            with anyio.move_on_after(RESEND_S):
                await self._poked.wait()
            self._poked = anyio.Event()
            self._events.start_over_if_overdue()
            self._telemetry.start_over_if_overdue()
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
        fresh = [event for event in state.outbox if event.seq > self._events.sent]
        for start in range(0, len(fresh), EVENTS_A_BATCH):
            events = tuple(fresh[start : start + EVENTS_A_BATCH])
            if not await self._broker.publish(Channel.EVENT, encode(EventBatch(device=self._device, events=events))):
                return
            self._events.note_sent(events[-1].seq)

    async def _publish_telemetry(self) -> None:
        sent = 0
        for batch in self._queue.batches():
            if batch.points[-1].seq <= self._telemetry.sent:
                continue
            if sent >= _IN_FLIGHT_BATCHES or not await self._broker.publish(Channel.TELEMETRY, encode(batch)):
                return
            self._telemetry.note_sent(batch.points[-1].seq)
            sent += 1


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
