"""A small real model as bundles of a workspace, without training: what `flota optimize` would leave there."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import flota.bundle as bundles
from flota.bundle import Accuracy, GoldenVectors, Manifest, Provenance, Requirements, TensorSignature
from flota.files import sha256_hex
from flota.runtimes.litert import LiteRtRuntime
from flota.runtimes.tflm import TflmRuntime
from flota.toolchain import link_image
from hil.bench.cases import random_cases
from hil.bench.run import Case
from optimize.compiler import compile_tflite
from optimize.facts import read_facts

sys.path.append(str(Path(__file__).parents[1] / "optimize" / "compiler"))
from tflite_builder import small_model

BOARD = "qemu-mps2-an386"
CASES = 5


def write_bundles(workspace: Path, *, version: str = "1.0.0", wrong_case: int | None = None) -> None:
    """`small` for both targets; ``wrong_case`` gets another expected output than the model gives."""
    model = small_model()
    facts = read_facts(model)
    tflm = TflmRuntime(model, facts.inputs, facts.outputs)
    cases = _spoilt(random_cases(tflm, facts.inputs, seed=7, count=CASES), wrong_case)
    compiled = compile_tflite(model, name="small")
    images = {
        f"images/{BOARD}/{slot.lower()}.img": link_image(
            BOARD,
            slot,
            compiled.files,
            compiled.kernel_sources,
            model="small",
            version=version,
            security_counter=0,
            golden=[(cases[0].inputs, cases[0].expected)],
            arena_bytes=compiled.arena_bytes,
        ).data
        for slot in ("A", "B")
    }
    requires = Requirements(runtime="aot-c", boards=(BOARD,), arena_bytes=compiled.arena_bytes)
    _write(workspace, version, "cortex-m4f-aot", images, cases, facts.inputs, facts.outputs, requires)
    litert = LiteRtRuntime(model, facts.inputs, facts.outputs)
    host_cases = random_cases(litert, facts.inputs, seed=7, count=CASES)
    payload = {"model.tflite": model}
    requires = Requirements(runtime="litert")
    _write(workspace, version, "linux-litert", payload, host_cases, facts.inputs, facts.outputs, requires)


def _spoilt(cases: tuple[Case, ...], wrong: int | None) -> tuple[Case, ...]:
    return tuple(
        Case(case.inputs, bytes([case.expected[0] ^ 1]) + case.expected[1:]) if index == wrong else case
        for index, case in enumerate(cases)
    )


def _write(
    workspace: Path,
    version: str,
    target: str,
    payload: Mapping[str, bytes],
    cases: tuple[Case, ...],
    inputs: tuple[TensorSignature, ...],
    outputs: tuple[TensorSignature, ...],
    requires: Requirements,
) -> None:
    files = {
        **payload,
        "golden/inputs.bin": b"".join(case.inputs for case in cases),
        "golden/outputs.bin": b"".join(case.expected for case in cases),
    }
    digest = sha256_hex(b"a data set")
    manifest = Manifest(
        model="small",
        version=version,
        target=target,
        payload=min(payload),
        files=bundles.file_entries(files),
        inputs=inputs,
        outputs=outputs,
        golden=GoldenVectors(count=len(cases), inputs="golden/inputs.bin", outputs="golden/outputs.bin"),
        requires=requires,
        accuracy=Accuracy(
            metric="accuracy",
            value=0.9,
            low=0.8,
            high=1.0,
            float_value=0.9,
            count=10,
            dataset="none",
            dataset_sha256=digest,
        ),
        provenance=Provenance(source_sha256=digest, config_sha256=digest, git_commit="", seed=0, tools={}),
    )
    bundles.write(workspace / "bundles", manifest, files)
