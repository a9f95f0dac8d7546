"""Small, valid bundles of no real model, for every test that needs one whose model never runs."""

from __future__ import annotations

from collections.abc import Mapping

from flota import bundle


def sample_bundle(
    *,
    model: str = "motion",
    version: str = "1.0.0",
    target: str = "linux-litert",
    payload: bytes = b"weights",
    security_floor: int = 0,
    extra: Mapping[str, bytes] | None = None,
) -> tuple[bundle.Manifest, dict[str, bytes]]:
    """A manifest and its files."""
    files = {
        "model.tflite": payload,
        "golden/inputs.bin": bytes(range(12)),
        "golden/outputs.bin": bytes(range(8)),
        **(extra or {}),
    }
    tensor = bundle.TensorSignature(name="x", shape=(1, 3), dtype="int8", scale=0.5, zero_point=-3)
    manifest = bundle.Manifest(
        model=model,
        version=version,
        target=target,
        security_floor=security_floor,
        labels=("up", "down"),
        payload="model.tflite",
        files=bundle.file_entries(files),
        inputs=(tensor,),
        outputs=(tensor.model_copy(update={"name": "y", "shape": (1, 2)}),),
        golden=bundle.GoldenVectors(count=4, inputs="golden/inputs.bin", outputs="golden/outputs.bin"),
        requires=bundle.Requirements(runtime="litert", arena_bytes=1024),
        accuracy=bundle.Accuracy(
            metric="accuracy",
            value=0.9,
            low=0.8,
            high=0.95,
            float_value=0.91,
            count=40,
            dataset="a test set",
            dataset_sha256="0" * 64,
        ),
        histograms=(bundle.FeatureHistogram(name="x", edges=(0.0, 0.1, 1.0), counts=(3, 4)),),
        provenance=bundle.Provenance(
            source_sha256="1" * 64, config_sha256="2" * 64, git_commit="", seed=7, tools={"python": "3.11"}
        ),
    )
    return manifest, files
