"""Bundles for the microcontroller targets: toy images for the firmware's host simulator, compiled ones for QEMU."""

from __future__ import annotations

import sys
from pathlib import Path

from agent_bundles import MODEL, signature, tflite

from flota import bundle
from flota.bundle import Accuracy, GoldenVectors, Manifest, Provenance, Requirements, TensorSignature
from flota.files import sha256_hex

sys.path.append(str(Path(__file__).parents[1] / "firmware"))
from firmware_helpers import ADDS_ONE, ANSWER, CASE, KEY, OTHER_KEY, make_image

DIGEST = sha256_hex(b"test")
BOARD = "qemu-mps2-an386"
__all__ = ["ADDS_ONE", "ANSWER", "BOARD", "CASE", "compiled_bundle", "simulator_bundle"]


def simulator_bundle(
    folder: Path,
    version: str,
    behaviour: int = ADDS_ONE,
    *,
    counter: int = 0,
    signed: bool = True,
    marked: bool = False,
) -> Path:
    """A signed toy model; ``marked`` adds a golden case with the byte 0xEE, on which CRASHES_ON_EE crashes."""
    key = KEY if signed else OTHER_KEY
    header = {"version": version, "security_counter": counter}
    files = {
        f"images/host-simulator/{slot.lower()}.img": make_image(slot, behaviour, key=key, **header)  # type: ignore[arg-type]
        for slot in ("A", "B")
    }
    case = bytes([0xEE, *CASE[1:]]) if marked else CASE
    golden = [(case, bytes((byte + 1) % 256 for byte in case))]
    tensor = TensorSignature(name="x", shape=(24,), dtype="uint8")
    tensors = (tensor,), (tensor.model_copy(update={"name": "y"}),)
    return _write(folder, version, files, golden, *tensors, ("host-simulator",), counter)


def compiled_bundle(folder: Path, version: str, **model: int) -> Path:
    """The test model compiled to C and linked for both slots, unsigned: what `flota optimize` makes."""
    from flota.runtimes.tflm import TflmRuntime
    from flota.toolchain import link_image
    from optimize.compiler import compile_tflite

    data, width = tflite(**model), model.get("width", 16)
    inputs, outputs = (signature("input", width),), (signature("output", width),)
    runtime = TflmRuntime(data, inputs, outputs)
    cases = [bytes((7 * i + j) % 256 for j in range(width)) for i in range(4)]
    golden = [(case, runtime.infer(case)) for case in cases]
    compiled = compile_tflite(data, name=MODEL)
    files = {
        f"images/{BOARD}/{slot.lower()}.img": link_image(
            BOARD,
            slot,  # type: ignore[arg-type]
            compiled.files,
            compiled.kernel_sources,
            model=MODEL,
            version=version,
            security_counter=0,
            golden=golden,
            arena_bytes=compiled.arena_bytes,
        ).data
        for slot in ("A", "B")
    }
    return _write(folder, version, files, golden, inputs, outputs, (BOARD,), 0)


def _write(
    folder: Path,
    version: str,
    images: dict[str, bytes],
    golden: list[tuple[bytes, bytes]],
    inputs: tuple[TensorSignature, ...],
    outputs: tuple[TensorSignature, ...],
    boards: tuple[str, ...],
    floor: int,
) -> Path:
    files = {
        **images,
        "golden/inputs.bin": b"".join(case for case, _ in golden),
        "golden/outputs.bin": b"".join(expected for _, expected in golden),
    }
    manifest = Manifest(
        model="adder" if boards == ("host-simulator",) else MODEL,
        version=version,
        target="cortex-m4f-aot",
        security_floor=floor,
        payload=min(images),
        files=bundle.file_entries(files),
        inputs=inputs,
        outputs=outputs,
        golden=GoldenVectors(count=len(golden), inputs="golden/inputs.bin", outputs="golden/outputs.bin"),
        requires=Requirements(runtime="aot-c", boards=boards),
        accuracy=Accuracy(
            metric="accuracy", value=1, low=1, high=1, float_value=1, count=1, dataset="t", dataset_sha256=DIGEST
        ),
        provenance=Provenance(source_sha256=DIGEST, config_sha256=DIGEST, git_commit="", seed=0, tools={}),
    )
    return bundle.write(folder, manifest, files)
