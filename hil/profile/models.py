"""Which model file is meant: a ``.tflite`` file, a bundle, or a model of the workspace."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from flota import bundle as bundles
from flota.errors import StorageError, UsageError
from flota.files import shown_name
from hil.bench.subjects import find_bundle

_MODEL_FILE = "model.tflite"
_LITERT = "linux-litert"
_BUNDLE_NAME = re.compile(r"(?P<model>.+)-(?P<version>\d+\.\d+\.\d+)-[a-z0-9-]+\.flota")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model's bytes, its name and the file they came from."""

    name: str
    file: str
    data: bytes


def find_model(workspace: Path, name: str) -> ModelFile:
    """The model that ``name`` means.

    Args:
        workspace: Where bundles lie.
        name: The path of a ``.tflite`` or ``.flota`` file, or a model of the workspace, as ``NAME`` (the newest) or
            ``NAME@VERSION``. A bundle without the model file in it stands for the one of the same model and version
            beside it that has it.

    Raises:
        StorageError, BundleError: The file cannot be read, or is no whole bundle.
        UsageError: There is no such model, or no model file in the bundle nor beside it.
    """
    path = Path(name)
    if path.suffix == ".tflite":
        return ModelFile(shown_name(path.stem), shown_name(path.name), _read(path))
    if path.suffix != ".flota":
        model, _, version = name.partition("@")
        path = find_bundle(workspace, model, _LITERT, version or None)
    return _from_bundle(path)


def _from_bundle(path: Path) -> ModelFile:
    bundle = bundles.read(path)
    data = bundle.files.get(_MODEL_FILE)
    if data is None:
        path = _beside(path)
        bundle = bundles.read(path)
        data = bundle.files[_MODEL_FILE]
    return ModelFile(f"{bundle.manifest.model} {bundle.manifest.version}", shown_name(path.name), data)


def _beside(path: Path) -> Path:
    named = _BUNDLE_NAME.fullmatch(path.name)
    other = path.with_name(f"{named['model']}-{named['version']}-{_LITERT}.flota") if named else path
    if other == path or not other.is_file():
        raise UsageError(
            f"{path.name} holds linked images and no model file to profile",
            hint=f"put the model's {_LITERT} bundle beside it, or name the .tflite file",
        )
    return other


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}", hint="check the path of the model") from error
