"""Runs updates of a device and ends the process at the k-th change of its disk, for every k. Run by test_crashes.py.

Nothing in the agent knows of this: Python's audit events name every file that is opened for writing, renamed or
removed *before* that happens, and the hook here ends the process at the k-th one in the device's folder. Each run is a
fork, so that an interpreter starts only once.

usage: crash_driver.py FOLDER SCENARIO…  → one JSON line a crash point
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio

from device_agent.core import Core, sweep
from device_agent.installers.linux import LinuxInstaller
from device_agent.journal import Journal
from device_agent.slots import Slots
from device_agent.state import Assigned, Stopping
from flota import bundle as bundles
from flota.bundle import Bundle
from flota.files import write_atomic
from flota.messages import Assignment, HealthLimits
from flota.trust.errors import ArtifactMismatch

CRASHED, DEADLINE_S = 77, 20.0
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True, slots=True)
class LocalFetcher:
    """Bundles from a folder of this machine; the production protocol, no network."""

    source: Path
    folder: Path

    def archive(self, assignment: Assignment) -> Path:
        return self.folder / f"{assignment.sha256}.flota"

    async def fetch(self, assignment: Assignment) -> None:
        write_atomic(self.archive(assignment), (self.source / Path(assignment.path).name).read_bytes())

    def forget(self) -> None:
        for path in self.folder.glob("*.flota"):
            path.unlink()


def verify(assignment: Assignment, archive: Path, suits: Callable[[Bundle], None], floor: int) -> int:
    bundle = bundles.read(archive)
    if bundle.sha256 != assignment.sha256:
        raise ArtifactMismatch("not the signed bytes")
    suits(bundle)
    return bundle.manifest.security_floor


def assignment_of(path: Path, counter: int, limits: HealthLimits) -> Assignment:
    manifest = bundles.read(path).manifest
    return Assignment(
        device="d",
        counter=counter,
        issued_at=0,
        expires_at=time.time() + 3600,
        model=manifest.model,
        version=manifest.version,
        target=manifest.target,
        path=path.name,
        sha256=bundles.read(path).sha256,
        size=path.stat().st_size,
        probation_s=0.05,
        limits=limits,
    )


async def run_device(folder: Path, source: Path, assignment: Assignment) -> None:
    """Start, take the assignment unless it was taken, and stop cleanly when it has ended."""
    slots = Slots(folder / "slots")
    for inner in (folder, slots.folder, folder / "downloads"):
        inner.mkdir(parents=True, exist_ok=True)
    sweep(folder, slots.folder, folder / "downloads")
    core = Core(
        installer=LinuxInstaller(slots),
        journal=Journal(folder / "journal.json"),
        fetcher=LocalFetcher(source, folder / "downloads"),
        verify=verify,
        probe_interval_s=0.01,
        report=lambda: None,
    )
    async with anyio.create_task_group() as tasks:
        await core.start(tasks)
        first = core.host.model
        (folder / "first").write_text(first.manifest.version if first else "")  # what serves before any work goes on
        await core.machine.post(Assigned(time.time(), assignment, str(assignment.counter)))
        with anyio.fail_after(DEADLINE_S):
            while not (core.machine.state.last_result and core.machine.state.last_result.counter == assignment.counter):
                await anyio.sleep(0.002)
        await core.machine.post(Stopping(time.time()))
        tasks.cancel_scope.cancel()
    core.installer.close()


def crash_at(folder: Path, k: int) -> None:
    """End this process just before the k-th change below ``folder``."""
    prefix, count = str(folder), 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event == "open":
            changes = bool(int(arguments[2] or 0) & WRITING)  # type: ignore[call-overload]
        else:
            changes = event in ("os.rename", "os.remove", "os.truncate", "os.mkdir")
        path = arguments[0] if arguments else None
        if not changes or not isinstance(path, str | os.PathLike) or not str(path).startswith(prefix):
            return
        count += 1
        if count == k:
            os._exit(CRASHED)

    sys.addaudithook(hook)


def forked(run: Callable[[], None]) -> int:
    """Run in a child process; its exit code."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        run()
        code = 0
    except BaseException as error:  # a fork must never return into the parent's code
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.stderr.flush()
    finally:
        os._exit(code)


def attempt(folder: Path, source: Path, assignment: Assignment, k: int) -> int:
    def run() -> None:
        if k:
            crash_at(folder, k)
        anyio.run(run_device, folder, source, assignment)

    return forked(run)


def look(folder: Path) -> dict[str, object]:
    state = Journal(folder / "journal.json").load()
    assert state is not None
    current = Slots(folder / "slots").current()
    return {
        "first": (folder / "first").read_text(),
        "phase": state.phase.value,
        "running": state.running.version if state.running else "",
        "slot": state.running.slot if state.running else None,
        "current": current,
        "outcome": state.last_result.outcome.value if state.last_result else "",
        "why": state.last_result.code if state.last_result else "",
        "events": [[event.seq, event.kind.value, event.version] for event in state.outbox],
        "litter": [path.name for path in folder.rglob(".*") if path.is_file()],
    }


def main() -> None:
    base, source = Path(sys.argv[1]), Path(sys.argv[1]) / "bundles"
    easy, strict = HealthLimits(min_inferences=5), HealthLimits(min_inferences=5, max_latency_ms=1e-9)
    scenarios = {
        "first": (None, "good", easy),
        "good": ("old", "good", easy),
        "bad": ("old", "good", strict),
        "selftest": ("old", "wrong", easy),
    }
    for name in sys.argv[2:]:
        before, after, limits = scenarios[name]
        ready = base / f"{name}-ready"
        ready.mkdir()
        if before:
            assert attempt(ready, source, assignment_of(source / f"{before}.flota", 1, easy), 0) == 0
        wanted = assignment_of(source / f"{after}.flota", 2, limits)
        k, code = 0, CRASHED
        while code == CRASHED:
            k += 1
            folder = base / f"{name}-{k}"
            shutil.copytree(ready, folder)
            code = attempt(folder, source, wanted, k)
            again = attempt(folder, source, wanted, 0)
            row = {"scenario": name, "k": k, "code": code, "again": again, **look(folder)}
            sys.stdout.write(json.dumps(row) + "\n")
            sys.stdout.flush()
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
