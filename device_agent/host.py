"""The event loop's side of the model: inferences in worker threads, counted; probes and baselines."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

from anyio import to_thread

from device_agent.errors import BoardAbsent, NoModel
from device_agent.health import BASELINE_PROBES, Window
from device_agent.installers.base import Installer, Model, ModelClosed, outputs_match
from flota.errors import FlotaError
from flota.runtimes import RuntimeFailure

BURST_PROBES = {"ms": 10, "instructions": 4}
"""Probes in one burst, by unit; the first of a burst finds cold caches, so on Linux its cost does not count."""

MAX_BURSTS = 20


class Host:
    """Runs the installer's model for everybody in this process and keeps count of the version that serves."""

    def __init__(self, installer: Installer) -> None:
        self._installer = installer
        self.window = Window()

    @property
    def model(self) -> Model | None:
        """What serves now."""
        return self._installer.model

    def begin_window(self) -> Window:
        """Forget what was counted: another version serves."""
        model = self.model
        self.window = Window(unit=model.unit if model else "ms")
        return self.window

    async def infer(self, model: Model, case: bytes) -> bytes:
        """One inference of real traffic on ``model``, counted if it still serves when the answer is there.

        Raises:
            ModelClosed: Another version took over before the inference began.
            BoardAbsent: The device cannot be asked; that says nothing about the version, so it is not counted.
            FlotaError: The inference failed.
        """
        begin = time.perf_counter_ns()
        try:
            answer = await to_thread.run_sync(model.infer, case)
        except BoardAbsent:
            raise
        except FlotaError as error:
            if self.model is model:
                self.window.count(error=error.message)
            raise
        if self.model is model:
            self.window.count()
            self.window.latencies_ms.append((time.perf_counter_ns() - begin) / 1e6)
        return answer.outputs

    async def probe(self) -> None:
        """One burst of golden inputs on the version that serves; what comes of it is counted in the window.

        Raises:
            NoModel: Nothing serves.
            BoardAbsent: The device cannot be asked; nothing was counted for that.
        """
        model = self._model()
        probes = await to_thread.run_sync(_burst, model)
        if self.model is not model:
            return
        for probe in probes:
            if probe.error:
                self.window.count(error=probe.error)
            elif probe.warm or not probe.matches:
                self.window.probed(probe.cost, matches=probe.matches)
            else:
                self.window.count()

    async def baseline(self) -> float | None:
        """Median cost of at least ``BASELINE_PROBES`` probes of what serves now, in its unit; None: nothing serves.

        Raises:
            FlotaError: The device cannot be asked, or most probes failed.
        """
        model = self.model
        if model is None:
            return None
        costs: list[float] = []
        for _ in range(MAX_BURSTS):
            probes = await to_thread.run_sync(_burst, model)
            costs += [probe.cost for probe in probes if probe.warm and not probe.error]
            if len(costs) >= BASELINE_PROBES:
                return median(costs)
        raise RuntimeFailure(f"{model.manifest.model} {model.manifest.version} fails its own probes")

    def _model(self) -> Model:
        model = self.model
        if model is None:
            raise NoModel("no model is installed", hint="assign one with a rollout")
        return model


@dataclass(frozen=True, slots=True)
class _Probe:
    """One golden input that was run. ``warm``: its cost is comparable; ``error``: what went wrong instead."""

    cost: float
    matches: bool
    warm: bool
    error: str = ""


def _burst(model: Model) -> list[_Probe]:
    """Golden inputs one right after the other, in one go, so that threads taking turns are not what is measured."""
    probes: list[_Probe] = []
    for number in range(BURST_PROBES[model.unit]):
        case, expected = model.golden[number % len(model.golden)]
        try:
            answer = model.infer(case)
        except ModelClosed:
            break
        except BoardAbsent:
            raise
        except FlotaError as error:
            probes.append(_Probe(0.0, matches=False, warm=False, error=error.message))
            continue
        matches = outputs_match(model.manifest, expected, answer.outputs)
        probes.append(_Probe(answer.cost, matches, warm=number > 0 or model.unit != "ms"))
    return probes
