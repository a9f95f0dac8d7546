"""Random graphs against the TensorFlow Lite Micro interpreter, on this machine and on emulated boards.

    python tests/optimize/compiler/differential.py --graphs 2000 --seed 1 --where host,emulator
    python tests/optimize/compiler/differential.py --graph 1000017            one graph again, by its number

Graph i of seed s has the number 1,000,000 s + i, and a number is the same graph everywhere; any part can be repeated.
On the host the kernels run under AddressSanitizer and UndefinedBehaviorSanitizer (of assembly its twin in C). A graph
that differs, is refused or crashes is written to ``--failures`` as a .tflite file; the status is then 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from bare_models import BOARDS, BareKernels, run_emulated
from host_models import Kernels, Outputs, Samples, random_samples, reference, run_sanitized
from random_graphs import random_graph
from rich.progress import track

from flota.errors import FlotaError
from hil.bare import MACHINES, find_machine
from optimize.compiler import CompiledModel, compile_tflite

BATCH = 100
"""Graphs compiled into one library or image."""
SAMPLES = 4
"""Inferences of a graph: all -128, all 127, and random ones."""
NUMBERS_PER_SEED = 1_000_000
SCRATCH = "FLOTA_DIFFERENTIAL"
"""Environment variable that tells worker processes the folder for what they compile."""


@dataclass(frozen=True)
class Place:
    """Where and with which kernels a graph runs."""

    where: str
    core: str

    def __str__(self) -> str:
        return f"{self.where} {self.core}"


@dataclass
class Tally:
    """What came of some graphs. ``problems`` is (graph number, where, what); ``bytes`` counts compared output bytes."""

    graphs: int = 0
    operators: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    problems: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.graphs += other.graphs
        self.operators += other.operators
        self.bytes += other.bytes
        self.problems += other.problems


@dataclass(frozen=True)
class Case:
    """One graph with its inputs and the outputs it must have."""

    number: int
    model: bytes
    samples: Samples
    expected: Outputs


def check_batch(numbers: Sequence[int], places: Sequence[Place]) -> Tally:
    """Generate, compile, run everywhere and compare; a worker's whole job."""
    tally = Tally(graphs=len(numbers))
    cases = list(_cases(numbers, tally))
    for place in places:
        compiled = [(case, model) for case in cases if (model := _compile(case, place, tally)) is not None]
        run_place(place, compiled, tally)
    return tally


def _cases(numbers: Sequence[int], tally: Tally) -> Iterator[Case]:
    for number in numbers:
        model = random_graph(number)
        try:
            compiled = compile_tflite(model, name=f"graph {number}")
        except Exception as error:  # what comes out is the finding
            tally.problems.append((number, "compiler", f"{type(error).__name__}: {error}"))
            continue
        samples = random_samples(compiled, SAMPLES, number)
        tally.operators.update(compiled.operators)
        yield Case(number, model, samples, reference(model, samples))


def _compile(case: Case, place: Place, tally: Tally) -> CompiledModel | None:
    try:
        return compile_tflite(case.model, name=f"graph {case.number}", core=place.core)
    except Exception as error:  # what comes out is the finding
        tally.problems.append((case.number, str(place), f"{type(error).__name__}: {error}"))
        return None


def run_place(place: Place, compiled: Sequence[tuple[Case, CompiledModel]], tally: Tally) -> None:
    """Run all at once; where that fails, in halves, so that the failure has a number."""
    try:
        outputs = _outputs(place, compiled)
    except (AssertionError, FlotaError) as error:
        if len(compiled) == 1:
            tally.problems.append((compiled[0][0].number, str(place), str(error)[-1500:]))
        else:
            run_place(place, compiled[: len(compiled) // 2], tally)
            run_place(place, compiled[len(compiled) // 2 :], tally)
        return
    for (case, model), actual in zip(compiled, outputs, strict=True):
        tally.bytes[str(place)] += sum(len(output) for row in actual for output in row)
        if actual != case.expected:
            tally.problems.append((case.number, str(place), f"{_difference(case, actual)} in {model.operators}"))


def _outputs(place: Place, compiled: Sequence[tuple[Case, CompiledModel]]) -> list[Outputs]:
    models, samples = [model for _, model in compiled], [case.samples for case, _ in compiled]
    root = os.environ[SCRATCH]
    if place.where == "emulator":
        board = BOARDS[place.core]
        return run_emulated(models, samples, board, _bare_kernels(root, board))
    kernels = _kernels(root)
    with tempfile.TemporaryDirectory(dir=kernels.folder) as folder:
        return run_sanitized(kernels, models, samples, f"{Path(folder).name}/batch", stream=True)


@cache
def _kernels(root: str) -> Kernels:
    """The sanitized kernels of this worker process, in a folder below ``root``."""
    return Kernels(Path(tempfile.mkdtemp(dir=root)))


@cache
def _bare_kernels(root: str, board: str) -> BareKernels:
    """The kernels of this worker process for a board."""
    return BareKernels(Path(tempfile.mkdtemp(dir=root)), find_machine(board))


def _difference(case: Case, actual: Outputs) -> str:
    """The first byte that is not what it must be."""
    for number, (row, expected) in enumerate(zip(actual, case.expected, strict=True)):
        for output, (have, want) in enumerate(zip(row, expected, strict=True)):
            places = [place for place, pair in enumerate(zip(have, want, strict=True)) if pair[0] != pair[1]]
            if places:
                at = places[0]
                return (
                    f"sample {number}, output {output}: {len(places)} of {len(want)} bytes differ, "
                    f"the first at {at}: {have[at]} for {want[at]}"
                )
    return "other outputs"


def places_of(where: Sequence[str], cores: Sequence[str]) -> list[Place]:
    """Where to run: every core on every board there is; on the host the cores whose kernels have a form in C."""
    host = [core for core in cores if core != "cortex-m55"]
    boards = [core for core in cores if BOARDS[core] in MACHINES]
    wanted = {"host": host, "emulator": boards}
    return [Place(name, core) for name in where for core in wanted[name]]


def check_all(
    numbers: Sequence[int], places: Sequence[Place], jobs: int, report: Callable[[Tally], None] | None = None
) -> Tally:
    """All graphs, in batches over ``jobs`` processes; ``report`` gets each batch's results as it ends."""
    batches = [numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH)]
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="flota-differential-") as folder:
        os.environ[SCRATCH] = folder
        with ProcessPoolExecutor(jobs) as pool:
            futures = [pool.submit(check_batch, batch, places) for batch in batches]
            done = track(as_completed(futures), f"{len(numbers)} graphs", total=len(futures), disable=report is None)
            for future in done:
                tally.add(future.result())
                if report is not None:
                    report(future.result())
    return tally


def summary(tally: Tally, places: Sequence[Place], seconds: float) -> str:
    """One line."""
    failed = Counter(where for _, where, _ in tally.problems)
    parts = [f"{place}: {tally.bytes[str(place)]:,} bytes, {failed[str(place)]} graphs differ" for place in places]
    return (
        f"{tally.graphs} graphs of {sum(tally.operators.values())} operators ({len(tally.operators)} kinds), "
        f"{SAMPLES} inferences each, against tflite_micro; {'; '.join(parts)}; "
        f"{failed['compiler']} refused; {seconds:.0f} s"
    )


def print_problems(folder: Path, tally: Tally) -> None:
    """Say what went wrong, and leave the models in ``folder``."""
    for number, where, what in sorted(tally.problems):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"graph-{number}.tflite"
        path.write_bytes(random_graph(number))
        print(f"graph {number}, {where}: {what}\n    {path}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skip", type=int, default=0, help="go on after that many graphs of the seed")
    parser.add_argument("--graph", type=int, action="append", help="only the graph of this number; may be repeated")
    parser.add_argument("--where", default="host,emulator", help="host, emulator or both, with a comma")
    parser.add_argument("--cores", default="portable,cortex-m4,cortex-m55", help="cores to compile for")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--failures", type=Path, default=Path("build/differential"), help="where failing models go")
    arguments = parser.parse_args()
    first = arguments.seed * NUMBERS_PER_SEED + arguments.skip
    numbers = arguments.graph or range(first, first + arguments.graphs - arguments.skip)
    places = places_of(arguments.where.split(","), arguments.cores.split(","))
    started = time.monotonic()
    tally = check_all(numbers, places, arguments.jobs, partial(print_problems, arguments.failures))
    print(summary(tally, places, time.monotonic() - started))
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
