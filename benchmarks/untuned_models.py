"""Writes int8 models of architectures that the compiler was not tuned for, with random weights.

    python benchmarks/untuned_models.py [NAME …] [--out FOLDER]
    python benchmarks/mcu_inference.py build/untuned/*.tflite

What they are is in ``benchmarks/untuned/architectures.py``. The instructions of an int8 network do not depend on what
it has learnt. A file that is there is kept. Exit code 2: no such architecture.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from rich.progress import track  # noqa: E402

from benchmarks.untuned.architectures import ARCHITECTURES  # noqa: E402
from benchmarks.untuned.quantize import quantize  # noqa: E402
from flota.errors import FlotaError  # noqa: E402
from flota.files import write_atomic  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse ``arguments`` (default: the command line) and write the models; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(ARCHITECTURES)}")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build" / "untuned", metavar="FOLDER")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(ARCHITECTURES))
    if unknown:
        parser.error(f"no architecture {unknown[0]!r}; there are {', '.join(ARCHITECTURES)}")
    names = list(options.names or ARCHITECTURES)
    wanted = [name for name in names if not (options.out / f"{name}.tflite").exists()]
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for name in track(wanted, description="models"):
            write_atomic(options.out / f"{name}.tflite", quantize(name))
    except (FlotaError, OSError) as error:
        print(f"untuned_models: {error}", file=sys.stderr)
        return 1
    print(f"{len(wanted)} written, {len(names)} in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
