"""Idle memory of the agent: a real agent process, connected to a real server and broker, serving a small model.

    python benchmarks/agent_rss.py [--seconds 20] [--json]

Measured on this machine: RSS and PSS from /proc, median of samples taken every 0.5 s after the update is over.
Beside it, under the same conditions: a Python process with only the LiteRT interpreter and NumPy loaded and the same
model allocated, which is the least any Python program that serves this model needs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

REPOSITORY = Path(__file__).parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "device_agent")]

from agent_bundles import MODEL, make_bundle  # type: ignore[import-not-found]  # noqa: E402

from flota import release  # noqa: E402
from flota.api import FleetClient  # noqa: E402
from flota.api.models import NewDevice, Wave  # noqa: E402
from flota.messages import DeviceKind, HealthLimits  # noqa: E402

_FLOTA = (sys.executable, "-m", "flota")
_PASSWORD = "benchmark only"
_BARE = """
import sys
from pathlib import Path
from flota import bundle
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_content=bundle.read(Path(sys.argv[1])).payload(), num_threads=1)
interpreter.allocate_tensors()
interpreter.invoke()
print("ready", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident and proportional set size in MiB, and threads; medians over ``samples``."""

    rss_mib: float
    pss_mib: float
    threads: int
    cpu_percent: float
    samples: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each process is watched")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flota-rss-") as folder:
        agent, bare = _measure(Path(folder), arguments.seconds)
    result = {
        "agent": asdict(agent),
        "bare_litert": asdict(bare),
        "ratio_rss": round(agent.rss_mib / bare.rss_mib, 2),
        "origin": "measured on this machine",
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
    }
    if arguments.json:
        print(json.dumps(result, indent=1))
        return
    print(f"{'process':24} {'RSS MiB':>8} {'PSS MiB':>8} {'threads':>8} {'CPU %':>6}")
    for name, row in (("flota agent, idle", agent), ("python + LiteRT + model", bare)):
        print(f"{name:24} {row.rss_mib:8.1f} {row.pss_mib:8.1f} {row.threads:8d} {row.cpu_percent:6.2f}")
    print(f"ratio of RSS {result['ratio_rss']}; measured, {agent.samples} samples each; {result['machine']}")


def _measure(folder: Path, seconds: float) -> tuple[Memory, Memory]:
    bundle_path = make_bundle(folder / "bundles", "1.0.0")
    server = _start_server(folder)
    try:
        agent = _start_agent(folder, bundle_path)
        try:
            first = _watch(agent.pid, seconds)
        finally:
            agent.terminate()
            agent.wait()
    finally:
        server.terminate()
        server.wait()
    command = [sys.executable, "-c", _BARE, str(bundle_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY) as bare:
        assert bare.stdout is not None
        bare.stdout.readline()
        return first, _watch(bare.pid, seconds)


def _start_server(folder: Path) -> subprocess.Popen[bytes]:
    ports = ("--port", "0", "--device-port", "0", "--mqtt-port", "0")
    init = [*_FLOTA, "server", "init", str(folder / "server"), "--admin-user", "op", "--admin-password-stdin", *ports]
    subprocess.run(init, input=_PASSWORD.encode() + b"\n", check=True, capture_output=True)
    keys = str(folder / "server" / "server-keys.json")
    publisher = ("release", "init", "--publisher", str(folder / "publisher"), "--server-keys", keys)
    subprocess.run([*_FLOTA, *publisher], check=True, capture_output=True)
    with (folder / "server.log").open("wb") as log:
        run = [*_FLOTA, "server", "run", str(folder / "server"), "--ready-file", str(folder / "ready.json")]
        process = subprocess.Popen(run, stdout=log, stderr=log)
    _wait((folder / "ready.json").exists, "server")
    return process


def _start_agent(folder: Path, bundle_path: Path) -> subprocess.Popen[bytes]:
    url, ca = json.loads((folder / "ready.json").read_text())["url"], folder / "server" / "ca.pem"
    with FleetClient(url, ca=ca) as visitor:
        token = visitor.login("op", _PASSWORD).token
    with FleetClient(url, token, ca) as client:
        release.add_release(folder / "publisher", [bundle_path], security_floor=None)
        release.publish(folder / "publisher", client)
        device = NewDevice(name="idle-1", kind=DeviceKind.LINUX, target="linux-litert")
        secret = client.add_device(device).token
        enrol = ["agent", "enrol", "--server", url, "--ca", str(ca), "--token", secret, "--device", "idle-1"]
        subprocess.run([*_FLOTA, *enrol, "--dir", str(folder / "agent")], check=True, capture_output=True)
        with (folder / "agent.log").open("wb") as log:
            process = subprocess.Popen([*_FLOTA, "agent", "run", str(folder / "agent")], stdout=log, stderr=log)
        limits = HealthLimits(min_inferences=10)
        made = client.create_rollout(
            MODEL, "1.0.0", devices=("idle-1",), waves=(Wave(percent=100),), probation_s=2.0, limits=limits
        )
        _wait(lambda: client.rollout(made.id).settled, "rollout")
    return process


def _watch(pid: int, seconds: float) -> Memory:
    process = Path("/proc") / str(pid)
    rss: list[float] = []
    pss: list[float] = []
    begin, busy = time.monotonic(), _processor_s(process)
    while not rss or time.monotonic() < begin + seconds:
        now = _sizes_mib(process)
        rss.append(now["Rss"])
        pss.append(now["Pss"])
        time.sleep(0.5)
    cpu = 100 * (_processor_s(process) - busy) / (time.monotonic() - begin)
    threads = sum(1 for _ in (process / "task").iterdir())
    return Memory(round(median(rss), 1), round(median(pss), 1), threads, round(cpu, 2), len(rss))


def _sizes_mib(process: Path) -> dict[str, float]:
    """``smaps_rollup`` in MiB by name; its first line is the address range."""
    lines = (process / "smaps_rollup").read_text().splitlines()[1:]
    return {name: int(value.split()[0]) / 1024 for name, value in (line.split(":") for line in lines)}


def _processor_s(process: Path) -> float:
    """Processor seconds so far: fields 14 and 15 of ``stat``, counted behind the name, which may hold spaces."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wait(ready: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not there after 60 s")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
