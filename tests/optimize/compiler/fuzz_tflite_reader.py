"""Fuzzes ``compile_tflite``: whatever the bytes, it gives C or an ``OptimizeError``, soon and in little memory.

    python tests/optimize/compiler/fuzz_tflite_reader.py --seconds 600        coverage-guided, needs atheris
    python tests/optimize/compiler/fuzz_tflite_reader.py --runs 3000 --seed 1 the same mutations without guidance
    python tests/optimize/compiler/fuzz_tflite_reader.py FILE...              once each

atheris is not in the lock file, as it has wheels for some Pythons only: ``.venv/bin/uv pip install atheris``. Seeds are
random graphs, the wake-word models of pymicro-wakeword and the MLPerf Tiny models where FLOTA_MLPERF_TINY has them. An
input that breaks a promise is written to ``--artifacts`` and ends the run with status 1.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

if importlib.util.find_spec("atheris") and "--seconds" in sys.argv:
    import atheris

    with atheris.instrument_imports(include=["optimize.compiler"]):
        import optimize.compiler  # noqa: F401 - read with instrumentation before anything else imports it
else:
    atheris = None
import mutate_tflite
from random_graphs import random_graph
from tflite_builder import small_model

from optimize.compiler import CORES, CompiledModel, compile_tflite
from optimize.compiler.host import FIRMWARE
from optimize.errors import OptimizeError

REPOSITORY = Path(__file__).resolve().parents[3]
MLPERF = Path(os.environ.get("FLOTA_MLPERF_TINY", REPOSITORY / "../shared/data/mlperf_tiny"))
SECONDS_PER_INPUT = 10
"""Processor time after which an input counts as a hang."""
EXTRA_BYTES = 1 << 30
"""Memory the compiler may use over what the process holds when fuzzing starts."""
RANDOM_SEEDS = 60
C_FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", f"-I{FIRMWARE / 'include'}")


class Broken(Exception):
    """The compiler broke a promise on some input."""


def examine(data: bytes) -> CompiledModel | None:
    """Compile ``data`` for a core its bytes choose; None where it is refused.

    Raises:
        Broken: an error without a hint, or code without content.
        Exception: whatever else the compiler let out.
    """
    core = tuple(CORES)[len(data) % len(CORES)]
    try:
        compiled = compile_tflite(data, name="fuzz", core=core)
    except OptimizeError as error:
        if not error.hint or "\n" in error.message:
            raise Broken(f"{type(error).__name__} with message {error.message!r} and hint {error.hint!r}") from error
        return None
    if not all(compiled.files.values()) or compiled.arena_bytes < max(slot.bytes for slot in compiled.outputs):
        raise Broken("accepted, but the generated code is empty or its arena too small")
    return compiled


def seeds() -> Iterator[bytes]:
    """Sound models to start from, small ones first."""
    yield small_model()
    yield from (random_graph(number) for number in range(RANDOM_SEEDS))
    yield from (
        path.read_bytes() for path in sorted(MLPERF.glob("*_int8.tflite"), key=lambda path: path.stat().st_size)
    )


def guard() -> None:
    """Bound the memory of this process; a warning of NumPy is an error, as users would see it."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + EXTRA_BYTES, resource.RLIM_INFINITY))
    warnings.simplefilter("error", RuntimeWarning)
    signal.signal(signal.SIGPROF, _hang)


def _hang(number: int, frame: FrameType | None) -> None:
    raise Broken(f"no end after {SECONDS_PER_INPUT} s of processor time")


def timed(data: bytes) -> CompiledModel | None:
    """``examine`` under the time limit."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS_PER_INPUT)
    try:
        return examine(data)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


class Fuzzer:
    """Counts what happens, keeps what broke and some of the accepted models' C."""

    def __init__(self, artifacts: Path) -> None:
        self.artifacts, self.runs, self.accepted = artifacts, 0, 0
        self.slowest_s = 0.0
        self.kept: dict[bytes, bytes] = {}

    def run(self, data: bytes) -> None:
        """One input; an exception that leaves here is a bug, and its input is on disk."""
        self.runs += 1
        started = time.process_time()
        try:
            compiled = timed(data)
        except BaseException:
            self.artifacts.mkdir(parents=True, exist_ok=True)
            path = self.artifacts / f"broken-{hashlib.sha1(data).hexdigest()[:12]}.tflite"
            path.write_bytes(data)
            print(f"written to {path}", file=sys.stderr)
            raise
        self.slowest_s = max(self.slowest_s, time.process_time() - started)
        if compiled is not None:
            self.accepted += 1
            if len(self.kept) < 200:
                self.kept[compiled.files["model.c"]] = compiled.files["model.h"]

    def check_c(self) -> None:
        """The kept C is accepted by the C compiler without a warning."""
        with tempfile.TemporaryDirectory(prefix="flota-fuzz-") as folder:
            sources = []
            for number, (source, header) in enumerate(self.kept.items()):
                place = Path(folder, str(number))
                place.mkdir()
                (place / "model.h").write_bytes(header)
                (place / "model.c").write_bytes(source)
                sources.append(str(place / "model.c"))
            done = subprocess.run(["gcc", *C_FLAGS, *sources], capture_output=True, text=True, check=False)
            if done.returncode:
                raise Broken(f"gcc refuses the generated code: {done.stderr[:2000]}")

    def summary(self) -> str:
        return (
            f"{self.runs} inputs, {self.accepted} compiled, {self.runs - self.accepted} refused, "
            f"0 broken promises; slowest {self.slowest_s:.2f} s; {len(self.kept)} results checked by gcc"
        )


def fuzz_unguided(fuzzer: Fuzzer, runs: int, seed: int) -> None:
    """``runs`` mutations of the seeds and of what was accepted, the same for the same ``seed``."""
    rng = random.Random(seed)
    pool = list(seeds())
    for data in pool:
        fuzzer.run(data)
    pool = pool[: 1 + RANDOM_SEEDS] * 4 + pool
    for _ in range(runs):
        before, data = fuzzer.accepted, mutate_tflite.mutate(rng.choice(pool), rng)
        fuzzer.run(data)
        if fuzzer.accepted > before and len(data) < 64 * 1024:
            pool[rng.randrange(len(pool))] = data


def fuzz_guided(fuzzer: Fuzzer, seconds: int, seed: int, corpus: Path) -> None:
    """libFuzzer keeps what reaches new code; ends the process."""
    corpus.mkdir(parents=True, exist_ok=True)
    for data in seeds():
        (corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)

    def custom_mutator(data: bytes, max_size: int, number: int) -> bytes:
        return mutate_tflite.mutate(data, random.Random(number))[:max_size]

    flags = [f"-max_total_time={seconds}", f"-seed={seed}", "-max_len=400000", "-rss_limit_mb=4096", "-timeout=60"]
    arguments = [sys.argv[0], *flags, "-print_final_stats=1", f"-artifact_prefix={fuzzer.artifacts}/", str(corpus)]
    atheris.Setup(arguments, fuzzer.run, custom_mutator=custom_mutator)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="inputs to examine once each")
    parser.add_argument("--seconds", type=int, default=0, help="fuzz that long, guided by coverage")
    parser.add_argument("--runs", type=int, default=3000, help="mutations without guidance (default 3000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--artifacts", type=Path, default=Path("build/fuzz"), help="where a broken input goes")
    parser.add_argument("--corpus", type=Path, default=Path("build/fuzz/corpus"), help="kept between guided runs")
    arguments = parser.parse_args()
    if arguments.seconds and atheris is None:
        parser.error("--seconds needs atheris: .venv/bin/uv pip install atheris")
    fuzzer = Fuzzer(arguments.artifacts)
    guard()
    work: Callable[[], None]
    if arguments.files:
        work = lambda: [fuzzer.run(path.read_bytes()) for path in arguments.files] and None  # noqa: E731
    elif arguments.seconds:
        work = lambda: fuzz_guided(fuzzer, arguments.seconds, arguments.seed, arguments.corpus)  # noqa: E731
    else:
        work = lambda: fuzz_unguided(fuzzer, arguments.runs, arguments.seed)  # noqa: E731
    try:
        work()
        fuzzer.check_c()
    except Exception:
        traceback.print_exc()
        return 1
    print(fuzzer.summary())
    return 0


if __name__ == "__main__":
    sys.exit(main())
