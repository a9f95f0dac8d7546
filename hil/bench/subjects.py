"""What is benched: a bundle of the workspace, or a bare ``.tflite`` file that the caller has compiled."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from flota import bundle as bundles
from flota.bundle import Bundle
from flota.errors import UsageError
from hil.bench.report import Subject
from hil.bench.run import Case, Comparison
from hil.errors import BenchFailed


@dataclass(frozen=True, slots=True)
class McuSubject:
    """A model image for one slot of a board, and the cases it is checked with.

    Attributes:
        images: Unsigned images by slot name (``A``, ``B``).
        reference: Where the expected outputs come from, for the report.
        tools: Versions of the tools that made it.
    """

    subject: Subject
    images: Mapping[str, bytes]
    cases: tuple[Case, ...]
    reference: str
    tools: Mapping[str, str] = field(default_factory=dict)


def find_bundle(workspace: Path, model: str, target: str, version: str | None) -> Path:
    """The workspace's bundle of a model for a target; without a version the newest.

    Raises:
        UsageError: There is none; the message says whether the model, the target or the version is missing.
    """
    folder = workspace / "bundles"
    suffix = f"-{target}.flota"
    found = {_split_name(path.name, suffix): path for path in sorted(folder.glob(f"*{suffix}"))}
    versions = [known_version for name, known_version in found if name == model]
    if not versions:
        raise _unknown_model(workspace, model, target, {name for name, _ in found})
    chosen = version or max(versions, key=bundles.parse_version)
    if chosen not in versions:
        raise UsageError(
            f"{model} {chosen} is not in {folder} for {target}", hint=f"versions there: {', '.join(sorted(versions))}"
        )
    return found[(model, chosen)]


def bundle_subject(path: Path, bundle: Bundle) -> Subject:
    """How a report names a bundle."""
    manifest = bundle.manifest
    return Subject(
        model=manifest.model,
        version=manifest.version,
        target=manifest.target,
        kind="bundle",
        filename=path.name,
        sha256=bundle.sha256,
    )


def golden_cases(bundle: Bundle) -> tuple[Case, ...]:
    """The bundle's golden vectors as cases."""
    return tuple(Case(inputs=inputs, expected=outputs) for inputs, outputs in bundle.golden_cases())


def golden_comparison(bundle: Bundle) -> Comparison:
    """How the bundle wants its outputs compared."""
    return Comparison(outputs=bundle.manifest.outputs, tolerance=bundle.manifest.golden.tolerance)


def mcu_subject(path: Path, board: str) -> McuSubject:
    """The subject in the bundle at ``path`` (``cortex-m4f-aot``, …), for ``board``.

    Raises:
        StorageError, BundleError: The bundle cannot be read or is not intact.
        BenchFailed: It holds no image for this board.
    """
    bundle = bundles.read(path)
    images = {slot: bundle.files.get(f"images/{board}/{slot.lower()}.img") for slot in ("A", "B")}
    held = {slot: image for slot, image in images.items() if image is not None}
    if len(held) != len(images):
        boards = ", ".join(bundle.manifest.requires.boards) or "none"
        raise BenchFailed(
            f"{path.name} holds no image for {board}", hint=f"boards it is for: {boards}; use a bundle made for it"
        )
    return McuSubject(
        subject=bundle_subject(path, bundle),
        images=held,
        cases=golden_cases(bundle),
        reference=f"{bundle.manifest.golden.count} golden vectors of the bundle",
        tools=bundle.manifest.provenance.tools,
    )


def _split_name(filename: str, suffix: str) -> tuple[str, str]:
    name, _, version = filename.removesuffix(suffix).rpartition("-")
    return name, version


def _unknown_model(workspace: Path, model: str, target: str, known: set[str]) -> UsageError:
    near = difflib.get_close_matches(model, sorted(known), n=1)
    hint = f"did you mean {near[0]}?" if near else f"make it first: flota train {model} && flota optimize {model}"
    return UsageError(f"no {target} bundle of a model {model!r} in {workspace / 'bundles'}", hint=hint)


def check_counts(inferences: int, warmup: int, cases: Sequence[Case]) -> None:
    """Refuse numbers that measure nothing.

    Raises:
        UsageError: Fewer than one inference, a negative warm-up, or no cases.
    """
    if inferences < 1 or warmup < 0:
        raise UsageError(f"{inferences} inferences after {warmup} of warm-up measure nothing", hint="use at least 1")
    if not cases:
        raise UsageError("there are no cases to run", hint="the bundle has no golden vectors; make it again")


def installed_version(package: str) -> str:
    """The version of a Python package, for a report."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
