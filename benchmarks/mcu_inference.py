"""Our compiler against its peers on a microcontroller: instructions, modelled cycles, RAM, flash, and the same bytes.

    python benchmarks/mcu_inference.py [MODEL.tflite …] [--json FILE] [--engines E,…] [--board B] [--inferences N]
    python benchmarks/mcu_inference.py --update-known

Without models: the four of MLPerf Tiny from the folder FLOTA_MLPERF_TINY. Every engine gets the same inputs on the same
emulated board in the same harness; its outputs are compared, bit by bit, with those of the TensorFlow Lite Micro
interpreter (``tflite_micro``). Instructions are counted, cycles modelled (Cortex-M4 timing table, zero wait states);
RAM is arena, data, bss and the deepest stack, flash is code and constants, both less those of an empty harness.

Engines:

* ``flota``: this repository's compiler.
* ``tflm+cmsis-nn``: TensorFlow Lite Micro, where TFLM_ROOT names a folder with ``libtensorflow-microlite.a``, built for
  the board's processor with CMSIS-NN kernels, and its headers (``benchmarks/inference/tflm.py`` lists them); the
  cross-compiler needs its C++ library (``apt-get install libstdc++-arm-none-eabi-newlib``).
* ``bakenn``, ``bakenn+cmsis-nn``: bakenn, where this Python, or the one BAKENN_PYTHON names, has ``bakenn[tflite]``.

An engine that is not there is named with what to set. A model that an engine refuses is a row with the reason.
``--json FILE`` writes a list of rows with the keys model, engine, instructions, cycles_modelled, ram_bytes,
flash_bytes, identical, refused. ``--update-known`` takes the figures that the tests hold our compiler to
(``benchmarks/known_models.json``) anew. Exit code 1: ours gave other bytes on a model it accepted, or a file is
missing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from rich.console import Console  # noqa: E402

from benchmarks.inference import bakenn  # noqa: E402
from benchmarks.inference.engine import Contender  # noqa: E402
from benchmarks.inference.goals import MLPERF_TINY, goals_of  # noqa: E402
from benchmarks.inference.known import KNOWN_FILE, known_model, known_names, measure_known, mlperf_file, save_known  # noqa: E402
from benchmarks.inference.measure import Plan, measure_model  # noqa: E402
from benchmarks.inference.ours import Flota  # noqa: E402
from benchmarks.inference.rows import Measured, Row  # noqa: E402
from benchmarks.inference.table import OURS, print_table  # noqa: E402
from benchmarks.inference.tflm import Tflm  # noqa: E402
from flota.errors import FlotaError  # noqa: E402
from flota.files import shown_name, write_atomic  # noqa: E402
from hil.bare import MACHINES, find_machine  # noqa: E402

CONTENDERS: tuple[Contender, ...] = (Flota(), Tflm(), *bakenn.contenders())
NAMES = tuple(contender.name for contender in CONTENDERS)
TABLE_COLUMNS = 170
"""What the widest row takes; a narrower terminal wraps it rather than losing figures."""


@dataclass(frozen=True, slots=True)
class _File:
    """A model file: what rows call it, and its bytes or why there are none."""

    name: str
    model: bytes | None
    reason: str = ""


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the exit code."""
    options = _parse(arguments)
    try:
        return _update_known() if options.update_known else _compare(options)
    except FlotaError as error:
        print(f"error: {error.message} ({error.code})", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.tflite", help="default: MLPerf Tiny's four")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rows there, too")
    parser.add_argument("--engines", default=",".join(NAMES), help=f"some of {','.join(NAMES)} (default all)")
    parser.add_argument("--board", default="qemu-mps2-an386", choices=sorted(MACHINES))
    parser.add_argument("--inferences", type=int, default=5, help="inferences per model and engine (default 5)")
    parser.add_argument("--update-known", action="store_true", help=f"write {KNOWN_FILE.name} and nothing else")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.engines.split(",") if name not in NAMES]
    if unknown:
        parser.error(f"unknown engine {unknown[0]!r}; there are {', '.join(NAMES)}")
    if options.inferences < 1:
        parser.error("at least one inference is needed")
    if options.json is not None and options.json.is_dir():
        parser.error(f"--json {options.json}: that is a folder")
    if options.json is not None and not options.json.absolute().parent.is_dir():
        parser.error(f"--json {options.json}: there is no folder {options.json.absolute().parent}")
    return options


def _compare(options: argparse.Namespace) -> int:
    files = _argument_files(options.models) if options.models else _default_files()
    asked = [contender for contender in CONTENDERS if contender.name in options.engines.split(",")]
    absent = {contender.name: contender.missing(options.board) for contender in asked}
    there = [contender for contender in asked if not absent[contender.name]]
    plan = Plan(options.board, there, options.inferences, _progress)
    results = [result for file in files for result in _measure(file, plan)]
    if options.json is not None:
        rows = [asdict(result.row) for result in results]
        write_atomic(options.json, json.dumps(rows, indent=1, ensure_ascii=False).encode() + b"\n")
    goals = {file.name: goals_of(file.model, options.board) for file in files if file.model is not None}
    console = Console(highlight=False, width=max(TABLE_COLUMNS, shutil.get_terminal_size().columns))
    print_table(results, goals, console)
    for name, reason in absent.items():
        if reason:
            console.print(f"{name} is missing: {reason}", markup=False, soft_wrap=True)
    console.print(_conditions(options), markup=False, soft_wrap=True)
    wrong = [result for result in results if result.row.engine == OURS and result.failed]
    return 1 if wrong or any(file.model is None for file in files) else 0


def _default_files() -> list[_File]:
    hint = "set FLOTA_MLPERF_TINY to the folder of the MLPerf Tiny models"
    return [_read(known.name, mlperf_file(known.name), f"; {hint}") for known in MLPERF_TINY]


def _argument_files(paths: Sequence[Path]) -> list[_File]:
    stems = [path.stem for path in paths]
    return [_read(path.stem if stems.count(path.stem) == 1 else str(path), path) for path in paths]


def _read(name: str, path: Path, hint: str = "") -> _File:
    try:
        return _File(shown_name(name), path.read_bytes())
    except OSError as error:
        return _File(shown_name(name), None, shown_name(f"{path}: {error.strerror or error}{hint}"))


def _measure(file: _File, plan: Plan) -> Iterator[Measured]:
    if file.model is None:
        return (Measured(Row(file.name, contender.name, refused=file.reason)) for contender in plan.contenders)
    return measure_model(file.name, file.model, plan)


def _update_known() -> int:
    figures = {}
    for name in known_names():
        model = known_model(name)
        if model is None:
            _progress(f"{name}: missing, its figures stay; set FLOTA_MLPERF_TINY")
            continue
        _progress(name)
        figures[name] = measure_known(model)
    save_known(figures)
    print(f"{KNOWN_FILE.relative_to(REPOSITORY)}: {len(figures)} models")
    return 0


def _conditions(options: argparse.Namespace) -> str:
    machine = find_machine(options.board)
    cycles = "cycles modelled, zero wait states" if machine.models_cycles else "no cycle model for this processor"
    return (
        f"{options.board} ({machine.core}, emulated), {options.inferences} inferences, instructions counted, {cycles}"
    )


def _progress(text: str) -> None:
    print(f"{text} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
