"""The event loop's side of the model: inferences in worker threads, counted; probes and baselines."""

from __future__ import annotations

import time
from statistics import median

from anyio import to_thread

from device_agent.errors import BoardAbsent, NoModel
from device_agent.health import BASELINE_PROBES, Window
from device_agent.installers.base import Answer, Installer, Model, ModelClosed, outputs_match
from flota.errors import FlotaError

BURST_PROBES = {"ms": 10, "instructions": 4}
"""Probes in one burst, by unit; the first of a burst finds cold caches, so on Linux its cost does not count."""


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
            FlotaError: The inference failed.
        """
        begin = time.perf_counter_ns()
        try:
            answer = await to_thread.run_sync(model.infer, case)
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
        for number in range(BURST_PROBES[model.unit]):
            case, expected = model.golden[number % len(model.golden)]
            try:
                answer = await to_thread.run_sync(model.infer, case)
            except ModelClosed:
                return
            except BoardAbsent:
                raise
            except FlotaError as error:
                self.window.count(error=error.message)
                continue
            self._count_probe(model, answer, expected, warm=number > 0)

    async def baseline(self) -> float | None:
        """Median cost of at least ``BASELINE_PROBES`` probes of what serves now, in its unit; None: nothing serves.

        Raises:
            FlotaError: A probe failed.
        """
        model = self.model
        if model is None or not model.golden:
            return None
        costs: list[float] = []
        while len(costs) < BASELINE_PROBES:
            for number in range(BURST_PROBES[model.unit]):
                answer = await to_thread.run_sync(model.infer, model.golden[number % len(model.golden)][0])
                if number > 0 or model.unit != "ms":
                    costs.append(answer.cost)
        return median(costs)

    def _count_probe(self, model: Model, answer: Answer, expected: bytes, *, warm: bool) -> None:
        matches = outputs_match(model.manifest, expected, answer.outputs)
        if warm or model.unit != "ms" or not matches:
            self.window.probed(answer.cost, matches=matches)
        else:
            self.window.count()
        if model.unit == "ms":
            self.window.latencies_ms.append(answer.cost)

    def _model(self) -> Model:
        model = self.model
        if model is None:
            raise NoModel("no model is installed", hint="assign one with a rollout")
        return model
