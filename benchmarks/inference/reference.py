"""The judge: inputs for a model, and the outputs of the TensorFlow Lite Micro interpreter for them.

    python -m benchmarks.inference.reference MODEL.tflite RESULT.npz COUNT

The interpreter is native code that trusts its model, and a broken file may end it; so it runs in a process of its own,
this module's ``main``. Inputs are the same for the same signature and count: the two extremes, then random values, in
turn over the whole range and near zero. They are one stream: state that a model keeps goes on from one to the next,
here and on the board.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inference.errors import Refused
from benchmarks.inference.tflite_file import Signature, TensorInfo, read_signature

Array = np.ndarray[Any, Any]
REPOSITORY = Path(__file__).resolve().parents[2]
TIMEOUT_S = 300
ARENA_BYTES = 16 * 1024 * 1024
SEED = 20


@dataclass(frozen=True, slots=True)
class Reference:
    """A model's signature, and per inference the bytes of all inputs and of all outputs, in the signature's order."""

    signature: Signature
    inputs: tuple[tuple[bytes, ...], ...]
    outputs: tuple[tuple[bytes, ...], ...]


def run_reference(model: bytes, count: int, folder: Path) -> Reference:
    """Inputs for ``count`` inferences and the interpreter's outputs; ``folder`` takes temporary files.

    Raises:
        Refused: the interpreter does not take the model, or died of it.
    """
    file, result = folder / "reference.tflite", folder / "reference.npz"
    file.write_bytes(model)
    command = [sys.executable, "-m", "benchmarks.inference.reference", str(file), str(result), str(count)]
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Refused(f"the reference interpreter did not finish in {TIMEOUT_S} s") from None
    if done.returncode < 0:
        raise Refused(f"the reference interpreter died of it (signal {-done.returncode})")
    if done.returncode != 0:
        raise Refused(f"the reference interpreter refuses it: {_last_line(done.stderr)}")
    return _load(result)


def samples(signature: Signature, count: int) -> list[list[Array]]:
    """``count`` sets of inputs: all lowest, all highest, then random."""
    rng = np.random.default_rng(SEED)
    return [[_values(info, index, rng) for info in signature.inputs] for index in range(count)]


def main(arguments: list[str]) -> int:
    """Run the interpreter on the file and write the result."""
    model, result, count = Path(arguments[0]).read_bytes(), Path(arguments[1]), int(arguments[2])
    try:
        signature = read_signature(model)
        inputs = samples(signature, count)
        outputs = _invoke(model, signature, inputs)
    except Exception as error:  # whatever a broken file does to the schema's classes is one refusal
        print(f"{type(error).__name__}: {error}".splitlines()[0], file=sys.stderr)
        return 1
    flat = {f"in_{i}_{j}": value for i, row in enumerate(inputs) for j, value in enumerate(row)}
    flat |= {f"out_{i}_{j}": value for i, row in enumerate(outputs) for j, value in enumerate(row)}
    flat |= {"signature": np.array(json.dumps(asdict(signature))), "count": np.array(count)}
    np.savez(result, **flat)  # type: ignore[arg-type]
    return 0


def _values(info: TensorInfo, index: int, rng: np.random.Generator) -> Array:
    dtype = np.dtype(info.dtype)
    if dtype.kind == "f":
        low, high = -8.0, 8.0
        values = rng.uniform(low, high, info.shape)
        return np.full(info.shape, (low, high)[index], dtype) if index < 2 else values.astype(dtype)
    # Wide integers without a scale are indices or counts; anything large would read outside the model's tables.
    is_index = dtype.itemsize > 2 and not info.scale
    limits = (0, 1) if dtype.kind == "b" or is_index else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if index < 2:
        return np.full(info.shape, limits[index], dtype)
    if index % 2 == 0 or limits == (0, 1):
        return rng.integers(limits[0], limits[1] + 1, info.shape).astype(dtype)
    # As real data are: mostly near zero, so that a softmax at the end does not saturate on every sample.
    near = rng.normal(info.zero_point, (limits[1] - limits[0]) / 16, info.shape)
    return np.clip(np.rint(near), *limits).astype(dtype)


def _invoke(model: bytes, signature: Signature, inputs: list[list[Array]]) -> list[list[Array]]:
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(model, arena_size=ARENA_BYTES)
    outputs = []
    for row in inputs:
        for position, values in enumerate(row):
            interpreter.set_input(values, position)
        interpreter.invoke()
        outputs.append([np.array(interpreter.get_output(i)) for i in range(len(signature.outputs))])
    return outputs


def _load(path: Path) -> Reference:
    with np.load(path) as stored:
        text = json.loads(str(stored["signature"]))
        infos = {
            side: tuple(TensorInfo(t["dtype"], tuple(t["shape"]), t["scale"], t["zero_point"]) for t in text[side])
            for side in ("inputs", "outputs")
        }
        signature = Signature(
            infos["inputs"],
            infos["outputs"],
            builtins=tuple(text["builtins"]),
            int8_builtins=tuple(text["int8_builtins"]),
            customs=tuple(text["customs"]),
            variables=text["variables"],
        )
        count = int(stored["count"])
        inputs = tuple(_row(stored, f"in_{i}", len(signature.inputs)) for i in range(count))
        outputs = tuple(_row(stored, f"out_{i}", len(signature.outputs)) for i in range(count))
    return Reference(signature, inputs, outputs)


def _row(stored: Any, prefix: str, width: int) -> tuple[bytes, ...]:
    return tuple(np.ascontiguousarray(stored[f"{prefix}_{j}"]).tobytes() for j in range(width))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
