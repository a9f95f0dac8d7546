"""The bench on this machine: wall-clock milliseconds around each inference of a Linux runtime."""

from __future__ import annotations

import os
import platform
import time
from datetime import datetime, timezone
from pathlib import Path

from flota import bundle as bundles
from flota.bundle import Bundle
from flota.runtimes import Runtime, open_runtime
from hil.bench.report import BenchReport, BoardFacts, Figure, Source, distribution
from hil.bench.run import Measurement, Reading, Watch, run_bench, unwatched
from hil.bench.subjects import bundle_subject, check_counts, golden_cases, golden_comparison, installed_version

_NS_PER_MS = 1e6
_RUNTIME_PACKAGES = {"litert": "ai-edge-litert", "tflm": "tflite-micro"}


class HostProbe:
    """Times a runtime; the cost of a reading is milliseconds of wall clock (``perf_counter``)."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def measure(self, case: bytes) -> Reading:
        """See :class:`hil.bench.run.Probe`."""
        self._runtime.reset()
        begin = time.perf_counter_ns()
        output = self._runtime.infer(case)
        return Reading(output=output, cost=(time.perf_counter_ns() - begin) / _NS_PER_MS)


def bench_host(path: Path, *, inferences: int, warmup: int, watch: Watch = unwatched) -> BenchReport:
    """Bench the bundle at ``path`` on this machine.

    Raises:
        StorageError, BundleError: The bundle cannot be read or is not intact.
        UsageError: The bundle runs on a microcontroller only, or the numbers measure nothing.
        MissingExtra, RuntimeFailure: Its runtime is not installed, or does not take the model.
    """
    bundle = bundles.read(path)
    cases = golden_cases(bundle)
    check_counts(inferences, warmup, cases)
    runtime = open_runtime(bundle)
    try:
        measurement = run_bench(
            HostProbe(runtime),
            cases,
            warmup=warmup,
            inferences=inferences,
            reference=f"{len(cases)} golden vectors of the bundle",
            comparison=golden_comparison(bundle),
            progress=watch("inferences"),
        )
    finally:
        runtime.close()
    return _report(path, bundle, measurement, warmup=warmup)


def describe_machine() -> str:
    """This machine in a line: processor, CPUs this process may use, memory, kernel."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cpus = len(os.sched_getaffinity(0))
    return f"{_processor()}, {cpus} CPUs usable, {memory_gib:.1f} GiB, {platform.system()} {platform.release()}"


def _report(path: Path, bundle: Bundle, measurement: Measurement, *, warmup: int) -> BenchReport:
    machine = describe_machine()
    timed = Source(
        kind="measured",
        where=machine,
        how="wall clock around each inference, one runtime thread; other load was not kept away",
    )
    runtime = bundle.manifest.requires.runtime
    payload = Source(kind="measured", where=path.name, how=f"size of {bundle.manifest.payload} in the bundle")
    return BenchReport(
        created_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        subject=bundle_subject(path, bundle),
        board=BoardFacts(name="host", emulated=False, description=machine),
        warmup=warmup,
        inferences=len(measurement.costs),
        outputs=measurement.outputs,
        figures={
            "latency": distribution("ms", measurement.costs, timed),
            "model_file": Figure(unit="bytes", value=len(bundle.payload()), source=payload),
        },
        tools={
            "python": platform.python_version(),
            _RUNTIME_PACKAGES[runtime]: installed_version(_RUNTIME_PACKAGES[runtime]),
        },
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.split(":", 1)[1].strip()
    return platform.machine()
