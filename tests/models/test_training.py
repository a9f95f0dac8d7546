from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from flota.cli import run
from flota.workspace import Epoch, Workspace, WorkspaceError
from models import train
from models.datasets import load_dataset
from models.errors import InvalidRecipe, TrainingFailed
from models.recipe import load_recipe
from models.training import TrainResult, _epoch, build_network


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def trained(workspace: Path) -> tuple[TrainResult, list[int]]:
    seen: list[int] = []

    def progress(epoch: int, epochs: int, values: Epoch) -> None:
        assert epochs == 2
        seen.append(epoch)

    return train("motion", "1.1.0", workspace, epochs=2, progress=progress), seen


def test_training_leaves_a_whole_record(trained: tuple[TrainResult, list[int]], workspace: Path) -> None:
    result, seen = trained
    record = Workspace(workspace).trained("motion", "1.1.0")
    assert record == result.record
    assert seen == [1, 2]
    assert len(record.history) == 2
    assert record.best_epoch in (1, 2)
    assert record.test.count == 40
    assert record.test.low <= record.test.accuracy <= record.test.high
    assert {path.name for path in result.folder.iterdir()} == {"float.keras", "data.npz", "train.json"}


def test_the_same_seed_gives_the_same_weights(trained: tuple[TrainResult, list[int]], tmp_path: Path) -> None:
    again = train("motion", "1.1.0", tmp_path, epochs=2)
    other = train("motion", "1.1.0", tmp_path, epochs=2, seed=21)
    assert not again.cached
    assert again.record.weights_sha256 == trained[0].record.weights_sha256
    assert again.record.history == trained[0].record.history
    assert other.record.weights_sha256 != again.record.weights_sha256


def test_a_trained_recipe_is_kept_until_it_changes(trained: tuple[TrainResult, list[int]], workspace: Path) -> None:
    kept = train("motion", "1.1.0", workspace, epochs=2)
    assert kept.cached
    assert kept.record == trained[0].record


def test_the_data_in_the_workspace_is_the_data_set(trained: tuple[TrainResult, list[int]]) -> None:
    data = load_dataset("aeon/BasicMotions", steps=100)
    with np.load(trained[0].folder / "data.npz") as arrays:
        assert np.array_equal(arrays["train_x"], data.train.x)
        assert np.array_equal(arrays["test_x"], data.test.x)
        assert np.array_equal(arrays["test_y"], data.test.y)


@pytest.mark.parametrize("file", ["float.keras", "data.npz", "train.json"])
def test_a_damaged_file_is_noticed(file: str, tmp_path: Path, trained: tuple[TrainResult, list[int]]) -> None:
    place = Workspace(tmp_path)
    folder = place.model_folder("motion", "1.1.0")
    folder.mkdir(parents=True)
    for source in trained[0].folder.iterdir():
        (folder / source.name).write_bytes(source.read_bytes())
    place.trained("motion", "1.1.0")
    (folder / file).write_bytes((folder / file).read_bytes()[:-20])
    with pytest.raises(WorkspaceError) as caught:
        place.trained("motion", "1.1.0")
    assert "flota train motion --version 1.1.0" in caught.value.hint


def test_interrupted_training_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(epoch: int, epochs: int, values: Epoch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("digits", None, tmp_path, epochs=1, progress=interrupt)
    assert not list(tmp_path.iterdir())


def test_a_loss_that_is_no_number_stops_training() -> None:
    with pytest.raises(TrainingFailed, match="after epoch 3"):
        _epoch({"loss": float("nan"), "accuracy": 0.1, "val_loss": 1.0, "val_accuracy": 0.1}, 3)


def test_wrong_hyper_parameters_are_an_error_of_the_recipe() -> None:
    data = load_dataset("aeon/BasicMotions", steps=100)
    how = load_recipe("motion").versions["1.0.0"]
    with pytest.raises(InvalidRecipe, match="no architecture 'transformer'"):
        build_network("motion", how.model_copy(update={"architecture": "transformer"}), data)
    with pytest.raises(InvalidRecipe, match="cannot be built"):
        build_network("motion", how.model_copy(update={"network": {"width": 3}}), data)
    with pytest.raises(InvalidRecipe, match="cannot be built"):
        build_network("motion", how.model_copy(update={"network": how.network | {"kernel": 1000}}), data)


def test_the_command_prints_one_json_document(
    trained: tuple[TrainResult, list[int]], workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--version", "1.1.0", "--epochs", "2", "--workspace", str(workspace), "--json"]
    assert run(["train", "motion", *options]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["cached"] is True
    assert printed["test"]["count"] == 40


@pytest.mark.parametrize("arguments", [["moton"], ["motion", "--version", "9.9.9"]])
def test_the_command_refuses_what_the_zoo_lacks(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", *arguments, "--workspace", str(tmp_path / "ws")]) == 2
    error = capsys.readouterr().err
    assert "models.unknown" in error
    assert "motion" in error
    assert not (tmp_path / "ws").exists()
