"""The workshop side of the demo: train and optimize the versions in the background, bench one on the emulated board."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from flota.demo.processes import run_flota

MODEL = "motion"
BOARD = "qemu-mps2-an386"
TARGETS = ("linux-litert", "cortex-m4f-tflm", "cortex-m4f-aot")


@dataclass(frozen=True, slots=True)
class Built:
    """One model version: its bundles and the evaluation that ``flota optimize --json`` printed."""

    version: str
    bundles: tuple[Path, ...]


class Workshop:
    """Builds versions one after the other in a background thread; leaving it waits for the one at work."""

    def __init__(self, workspace: Path, logs: Path) -> None:
        self._workspace = workspace
        self._logs = logs
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="workshop")

    def __enter__(self) -> Workshop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def order(self, versions: Sequence[str]) -> Mapping[str, Future[Built]]:
        """Queue the versions in this order; each future ends with the bundles, or the error that stopped it."""
        return {version: self._pool.submit(self._build, version) for version in versions}

    def bench(self, version: str) -> dict[str, object]:
        """Bench a built version on the emulated board: the bench report as ``flota bench --json`` prints it."""
        printed = run_flota(
            ["bench", MODEL, "--version", version, "--board", BOARD, *self._options(), "--json"],
            self._logs / "bench.log",
        )
        report: dict[str, object] = json.loads(printed)
        return report

    def _build(self, version: str) -> Built:
        log = self._logs / f"build-{version}.log"
        run_flota(["train", MODEL, "--version", version, *self._options(), "--json"], log)
        run_flota(["optimize", MODEL, "--version", version, *self._options(), "--json"], log)
        bundles = self._workspace / "bundles"
        return Built(version, tuple(bundles / f"{MODEL}-{version}-{target}.flota" for target in TARGETS))

    def _options(self) -> list[str]:
        return ["--workspace", str(self._workspace)]
