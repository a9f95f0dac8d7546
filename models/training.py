"""Train a model of the zoo from its recipe: same recipe, seed and machine give the same weights."""

from __future__ import annotations

import hashlib
import importlib
import io
import math
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from flota.files import sha256_hex, write_atomic
from flota.keras_backend import load_keras, tool_versions
from flota.statistics import wilson_interval
from flota.workspace import DATA_FILE, NETWORK_FILE, Epoch, TestResult, TrainingRecord, Workspace, WorkspaceError
from models.datasets import Dataset, Split, hold_out, load_dataset
from models.errors import InvalidRecipe, TrainingFailed
from models.preparation import Normalization, augment, fold
from models.recipe import ZOO, Recipe, VersionRecipe, config_digest, load_recipe

if TYPE_CHECKING:
    import keras

FloatModel = Any  # keras.Model; Keras ships no types


class Progress(Protocol):
    """Told after every epoch."""

    def __call__(self, epoch: int, epochs: int, values: Epoch, /) -> None:
        """``epoch`` counts from 1 to ``epochs``."""
        ...


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A trained model in the workspace; ``cached`` when an earlier training of the same recipe was kept."""

    folder: Path
    record: TrainingRecord
    cached: bool


@dataclass(frozen=True, slots=True)
class _Job:
    """Everything one training needs."""

    recipe: Recipe
    version: str
    how: VersionRecipe
    data: Dataset
    seed: int
    config_sha256: str


def train(
    name: str,
    version: str | None,
    workspace: Path,
    *,
    seed: int | None = None,
    epochs: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> TrainResult:
    """Train ``name`` and leave ``float.keras``, ``data.npz`` and ``train.json`` in the workspace.

    Args:
        name: A model of the zoo.
        version: A version of its recipe; ``None`` takes the recipe's default.
        workspace: Root of the workspace; created when something is written.
        seed: Replaces the recipe's seed.
        epochs: Replaces the recipe's number of epochs.
        force: Train even when this very recipe is trained already.
        progress: Called after every epoch.

    Raises:
        UnknownModel, InvalidRecipe, DatasetError: The request or what it names cannot be used.
        TrainingFailed: The loss is not a number any more.
        StorageError: The workspace cannot be written.
    """
    job = _job(name, version, seed, epochs)
    place = Workspace(workspace)
    folder = place.model_folder(name, job.version)
    kept = None if force else _kept(place, job)
    if kept is not None:
        return TrainResult(folder, kept, cached=True)
    started = time.monotonic()
    model, history, best = _fit(job, progress)
    record = _save(place, job, model, history, best, started)
    return TrainResult(folder, record, cached=False)


def _job(name: str, version: str | None, seed: int | None, epochs: int | None) -> _Job:
    recipe = load_recipe(name)
    chosen, how = recipe.version(version)
    if epochs is not None:
        how = how.model_copy(update={"training": how.training.model_copy(update={"epochs": epochs})})
        recipe = recipe.model_copy(update={"versions": {**recipe.versions, chosen: how}})
    data = load_dataset(recipe.data.source, steps=recipe.data.steps, padding=recipe.data.padding)
    if data.train.x.shape[3] != len(recipe.data.features):
        raise InvalidRecipe(f"{name} names {len(recipe.data.features)} features, its data has {data.train.x.shape[3]}")
    seed = recipe.seed if seed is None else seed
    return _Job(recipe, chosen, how, data, seed, config_digest(recipe, chosen, seed, data.sha256))


def _kept(place: Workspace, job: _Job) -> TrainingRecord | None:
    try:
        record = place.trained(job.recipe.name, job.version)
    except WorkspaceError:
        return None
    return record if record.config_sha256 == job.config_sha256 else None


def _fit(job: _Job, progress: Progress | None) -> tuple[FloatModel, tuple[Epoch, ...], int]:
    keras = load_keras()
    keras.backend.clear_session()
    keras.utils.set_random_seed(job.seed)
    model = build_network(job.recipe.name, job.how, job.data)
    fitting, validation = hold_out(job.data.train, job.recipe.data.validation, job.seed)
    normalization = Normalization.of(fitting.x)
    how = job.how.training
    cases = augment(Split(normalization.apply(fitting.x), fitting.y), how.augmentation, job.seed)
    steps = how.epochs * math.ceil(len(cases.x) / how.batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(how.learning_rate, steps)
    model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy", metrics=["accuracy"])
    watcher = _watcher(keras, how.epochs, progress)
    model.fit(
        cases.x,
        cases.y,
        batch_size=how.batch_size,
        epochs=how.epochs,
        validation_data=(normalization.apply(validation.x), validation.y),
        callbacks=[watcher],
        verbose=0,
    )
    model.set_weights(watcher.best_weights)
    fold(model, normalization)
    return model, tuple(watcher.history_), watcher.best_epoch


def build_network(name: str, how: VersionRecipe, data: Dataset) -> FloatModel:
    """The untrained network of one version.

    Raises:
        InvalidRecipe: ``network.py`` has no such architecture, or refuses the hyper-parameters.
    """
    architectures = importlib.import_module(f"models.{name}.network").ARCHITECTURES
    if how.architecture not in architectures:
        known = ", ".join(sorted(architectures))
        raise InvalidRecipe(f"{name} has no architecture {how.architecture!r}", hint=f"its network.py has: {known}")
    try:
        return architectures[how.architecture](data.train.x.shape[1:], len(data.labels), **how.network)
    except (TypeError, ValueError) as error:
        raise InvalidRecipe(f"{name}: {how.architecture} cannot be built: {str(error).splitlines()[0]}") from error


def _watcher(keras: ModuleType, epochs: int, progress: Progress | None) -> Any:
    """A Keras callback that keeps the history and the weights of the epoch with the lowest validation loss."""

    class Watcher(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.history_: list[Epoch] = []
            self.best_epoch = 0
            self.best_weights: list[Any] = []

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            values = _epoch(logs or {}, epoch + 1)
            best = min((past.validation_loss for past in self.history_), default=math.inf)
            if values.validation_loss < best:
                self.best_epoch, self.best_weights = epoch + 1, self.model.get_weights()
            self.history_.append(values)
            if progress is not None:
                progress(epoch + 1, epochs, values)

    return Watcher()


def _epoch(logs: dict[str, float], number: int) -> Epoch:
    values = [float(logs[key]) for key in ("loss", "accuracy", "val_loss", "val_accuracy")]
    if not all(math.isfinite(value) for value in values):
        raise TrainingFailed(f"the loss is not a number after epoch {number}", hint="lower learning_rate in the recipe")
    return Epoch(loss=values[0], accuracy=values[1], validation_loss=values[2], validation_accuracy=values[3])


def _save(
    place: Workspace, job: _Job, model: FloatModel, history: tuple[Epoch, ...], best: int, started: float
) -> TrainingRecord:
    network, data = _network_bytes(model), _data_bytes(job.data)
    record = TrainingRecord(
        model=job.recipe.name,
        version=job.version,
        description=job.how.description,
        labels=job.data.labels,
        features=job.recipe.data.features,
        dataset=job.data.name,
        dataset_sha256=job.data.sha256,
        config_sha256=job.config_sha256,
        weights_sha256=weights_digest(model),
        network_sha256=sha256_hex(network),
        data_sha256=sha256_hex(data),
        seed=job.seed,
        best_epoch=best,
        parameters=int(model.count_params()),
        history=history,
        test=_test(model, job.data.test),
        gates=job.how.gates or job.recipe.gates,
        tools=tool_versions(("keras", "numpy", "tensorflow-cpu")),
        git_commit=_git_commit(),
        seconds=round(time.monotonic() - started, 2),
    )
    folder = place.model_folder(record.model, record.version)
    write_atomic(folder / NETWORK_FILE, network)
    write_atomic(folder / DATA_FILE, data)
    place.write_record(record)
    return record


def _test(model: FloatModel, test: Split) -> TestResult:
    scores = np.asarray(model(test.x, training=False))
    correct = int((scores.argmax(axis=1) == test.y).sum())
    low, high = wilson_interval(correct, len(test.y))
    return TestResult(correct=correct, count=len(test.y), accuracy=correct / len(test.y), low=low, high=high)


def weights_digest(model: keras.Model) -> str:
    """SHA-256 over the path, shape and little-endian bytes of every weight, in the model's order."""
    digest = hashlib.sha256()
    for variable in model.weights:
        values = np.asarray(variable.numpy(), np.dtype("<f4"))
        digest.update(f"{variable.path}{values.shape}\n".encode() + values.tobytes())
    return digest.hexdigest()


def _network_bytes(model: FloatModel) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NETWORK_FILE
        bare = type(model).from_config(model.get_config())  # without the optimizer's state
        bare.set_weights(model.get_weights())
        bare.save(path)
        return path.read_bytes()


def _data_bytes(data: Dataset) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, train_x=data.train.x, train_y=data.train.y, test_x=data.test.x, test_y=data.test.y)
    return buffer.getvalue()


def _git_commit() -> str:
    command = ["git", "-C", str(ZOO), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
