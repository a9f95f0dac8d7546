"""Diagnostics an operator may ask a device for. The list is closed: nothing here changes what runs."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from statistics import median

from anyio import to_thread

from device_agent.errors import NoModel
from device_agent.health import quantile
from device_agent.host import Host
from device_agent.installers.base import Answer, Model, ModelClosed, outputs_match
from device_agent.log import RecentLines
from device_agent.machine import Machine
from flota.errors import FlotaError
from flota.messages import Command, Reply

BENCH_RUNS = 50
LOG_CHARS = 16_000
Values = dict[str, str | int | float | bool]


class Commands:
    """Answers commands; a failure is an answer too."""

    def __init__(self, machine: Machine, host: Host, recent: RecentLines) -> None:
        self._machine = machine
        self._host = host
        self._recent = recent
        self._table: Mapping[str, Callable[[], Awaitable[Values]]] = {
            "ping": self._ping,
            "status": self._status,
            "self-test": self._self_test,
            "bench": self._bench,
            "log": self._log,
        }

    async def answer(self, command: Command) -> Reply:
        """Carry out one command."""
        try:
            return Reply(id=command.id, ok=True, values=await self._table[command.name]())
        except FlotaError as error:
            return Reply(id=command.id, ok=False, code=error.code, values={"message": error.message})

    async def _ping(self) -> Values:
        return {"at": time.time()}

    async def _status(self) -> Values:
        state, window = self._machine.state, self._host.window
        running = state.running
        return {
            "phase": state.phase.value,
            "model": running.model if running else "",
            "version": running.version if running else "",
            "slot": running.slot if running else "",
            "serving": self._host.model is not None,
            "counter": state.counter,
            "security_floor": state.security_floor,
            "inferences": window.inferences,
            "errors": window.errors,
            "events_waiting": len(state.outbox),
        }

    async def _self_test(self) -> Values:
        model = self._model()
        wrong = 0
        for case, expected in model.golden:
            answer = await _run(model, case)
            wrong += not outputs_match(model.manifest, expected, answer.outputs)
        return {"version": model.manifest.version, "cases": len(model.golden), "mismatches": wrong}

    async def _bench(self) -> Values:
        model = self._model()
        costs = [(await _run(model, model.golden[i % len(model.golden)][0])).cost for i in range(BENCH_RUNS)]
        return {
            "version": model.manifest.version,
            "runs": len(costs),
            "unit": model.unit,
            "median": median(costs),
            "p95": quantile(costs, 0.95),
        }

    async def _log(self) -> Values:
        return {"lines": self._recent.text(LOG_CHARS)}

    def _model(self) -> Model:
        model = self._host.model
        if model is None:
            raise NoModel("no model is installed", hint="assign one with a rollout")
        return model


async def _run(model: Model, case: bytes) -> Answer:
    try:
        return await to_thread.run_sync(model.infer, case)
    except ModelClosed:
        raise NoModel("the model was replaced meanwhile; ask again") from None
