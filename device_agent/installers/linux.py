"""This machine as the device: bundles in two slots on disk, LiteRT in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from device_agent.errors import SlotError
from device_agent.installers.base import Answer, Model, ModelClosed, check_golden, check_target
from device_agent.slots import Slots, other
from device_agent.state import AgentState, Job, Slot
from flota.bundle import Bundle, Manifest
from flota.errors import FlotaError
from flota.messages import DeviceKind, Phase, Running
from flota.runtimes import open_runtime

TARGETS = ("linux-litert",)


class LoadedModel:
    """A bundle in a runtime of this process. Thread-safe: one inference at a time."""

    unit = "ms"

    def __init__(self, bundle: Bundle) -> None:
        self.manifest: Manifest = bundle.manifest
        self.golden: Sequence[tuple[bytes, bytes]] = bundle.golden_cases()
        self._runtime = open_runtime(bundle)
        self._lock = threading.Lock()
        self._closed = False

    def infer(self, case: bytes) -> Answer:
        """See :class:`device_agent.installers.base.Model`; the cost is wall-clock milliseconds."""
        with self._lock:
            if self._closed:
                raise ModelClosed
            begin = time.perf_counter_ns()
            outputs = self._runtime.infer(case)
            return Answer(outputs, (time.perf_counter_ns() - begin) / 1e6)

    def reset(self) -> None:
        """Begin a new stream; nothing where the model remembers nothing."""
        with self._lock:
            if not self._closed:
                self._runtime.reset()

    def close(self) -> None:
        """Wait for the inference under way and free the runtime."""
        with self._lock:
            self._closed = True
            self._runtime.close()


class LinuxInstaller:
    """Slots on disk; see :class:`device_agent.installers.base.Installer`."""

    kind = DeviceKind.LINUX
    targets = TARGETS
    board = ""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._live: LoadedModel | None = None
        self._live_slot: Slot | None = None

    @property
    def model(self) -> Model | None:
        """The version that serves."""
        return self._live

    def recover(self, state: AgentState) -> Running | None:
        """Load the current slot or, where it does not load, the other one that is known to be good.

        A version that is being rolled back is not loaded at all: it may be what ended the process.
        """
        current = self._slots.current()
        if current is None:
            return None
        for slot in (current, other(current)):
            if (slot != current and not _is_known(state, slot)) or _is_given_up(state, slot):
                continue
            try:
                return self._serve(slot)
            except FlotaError:
                continue
        return None

    def check(self, bundle: Bundle) -> None:
        """Only ``linux-litert`` bundles run here."""
        check_target(bundle, TARGETS)

    def install(self, job: Job, archive: Path) -> None:
        """Move the file into the slot."""
        self._slots.install(job.slot, archive)
        self._read(job)

    def self_test(self, job: Job) -> None:
        """Load the slot beside the model that serves, and replay every golden vector."""
        model = LoadedModel(self._read(job))
        try:
            for number, (case, expected) in enumerate(model.golden):
                model.reset()
                check_golden(model.manifest, number, expected, model.infer(case).outputs)
        finally:
            model.close()

    def activate(self, job: Job) -> None:
        """Point to the slot, then serve it: a crash in between comes back to the slot pointed to."""
        if self._live_slot == job.slot and self._slots.current() == job.slot:
            return
        model = LoadedModel(self._read(job))
        self._slots.point_to(job.slot)
        self._replace(model, job.slot)

    def check_running(self, job: Job) -> None:
        """Whatever ends the model here ends this process too."""

    def confirm(self, job: Job) -> None:
        """The pointer is all there is."""

    def revert(self, job: Job, former: Running | None) -> None:
        """Point back and serve the former slot."""
        self._slots.point_to(former.slot if former else None)
        if former is None:
            self._replace(None, None)
        elif self._live_slot != former.slot or self._live is None:
            self._replace(LoadedModel(self._slots.read(former.slot)), former.slot)

    def close(self) -> None:
        """Free the runtime."""
        self._replace(None, None)

    def _serve(self, slot: Slot) -> Running:
        bundle = self._slots.read(slot)
        self._replace(LoadedModel(bundle), slot)
        m = bundle.manifest
        return Running(model=m.model, version=m.version, target=m.target, sha256=bundle.sha256, slot=slot, since=0)

    def _read(self, job: Job) -> Bundle:
        bundle = self._slots.read(job.slot)
        if bundle.sha256 != job.assignment.sha256:
            raise SlotError(f"slot {job.slot} holds another bundle than the one installed into it")
        return bundle

    def _replace(self, model: LoadedModel | None, slot: Slot | None) -> None:
        former, self._live, self._live_slot = self._live, model, slot
        if former is not None:
            former.close()


def _is_given_up(state: AgentState, slot: Slot) -> bool:
    return state.phase is Phase.ROLL_BACK and state.job is not None and state.job.slot == slot


def _is_known(state: AgentState, slot: Slot) -> bool:
    """A version in that slot was confirmed once: never start what is only half installed or was rolled back."""
    return any(known is not None and known.slot == slot for known in (state.running, state.previous))
