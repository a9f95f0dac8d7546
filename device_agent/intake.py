"""What comes on the ``assign`` topic: bytes that may be anyone's, until the director's signature says otherwise."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import anyio
from anyio import to_thread
from securesystemslib.signer import Key

from device_agent.backoff import Backoff
from device_agent.machine import Machine
from device_agent.state import Assigned, EnvelopeRefused, Noted
from flota.errors import FlotaError
from flota.files import sha256_hex
from flota.messages import Assignment
from flota.trust.envelope import verify_assignment
from flota.trust.errors import AssignmentError

logger = logging.getLogger(__name__)
MAX_WAITING = 16


class Intake:
    """Verifies envelopes one after the other and hands what they say to the machine.

    While the director's keys cannot be had (no network, nothing published yet), envelopes wait; nothing is refused for
    a reason that is not its own. At most ``MAX_WAITING`` wait, the latest ones.

    Args:
        device: Our own name.
        director_keys: The current keys, from fresh metadata; blocks, raises FlotaError while they cannot be had.
        machine: Is told what envelopes say.
        clock: UTC seconds since the epoch.
    """

    def __init__(
        self,
        device: str,
        director_keys: Callable[[], list[Key]],
        machine: Machine,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._device = device
        self._director_keys = director_keys
        self._machine = machine
        self._clock = clock
        self._waiting: list[bytes] = []
        self._arrived = anyio.Event()

    def offer(self, data: bytes) -> None:
        """Take the bytes of one message; never blocks. Empty bytes are a cleared retained message and mean nothing."""
        if data and data not in self._waiting:
            self._waiting = [*self._waiting, data][-MAX_WAITING:]
            self._arrived.set()

    async def run(self) -> None:
        """Verify until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived = anyio.Event()
            while self._waiting:
                await self._judge(self._waiting[0])
                self._waiting = self._waiting[1:]

    async def _judge(self, data: bytes) -> None:
        digest = sha256_hex(data)
        state = self._machine.state
        if digest == state.envelope:
            return
        keys = await self._keys()
        try:
            assignment = self._verified(data, keys)
        except AssignmentError as error:
            logger.warning("assignment refused: %s (%s)", error.message, error.code)
            await self._machine.post(EnvelopeRefused(self._clock(), digest, error.code, error.message))
            return
        await self._machine.post(Assigned(self._clock(), assignment, digest))

    def _verified(self, data: bytes, keys: list[Key]) -> Assignment:
        return verify_assignment(
            data, keys, device=self._device, last_counter=self._machine.state.counter, now=self._clock()
        )

    async def _keys(self) -> list[Key]:
        backoff, told = Backoff(cap_s=30.0), ""
        while True:
            try:
                return await to_thread.run_sync(self._director_keys)
            except FlotaError as error:
                logger.warning("director keys: %s (%s)", error.message, error.code)
                if told != error.code:
                    told = error.code
                    await self._machine.post(Noted(self._clock(), error.code, error.message))
            await anyio.sleep(backoff.next())
