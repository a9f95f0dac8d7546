from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import models
import optimize
from flota import bundle
from flota.cli import run
from flota.errors import UsageError
from flota.image import parse_image
from flota.runtimes import open_runtime
from flota.workspace import NotTrained, Workspace, WorkspaceError
from optimize.gate import GateFailed
from optimize.package import HISTOGRAM_BINS
from optimize.quantize import to_input

TARGETS = ("linux-litert", "cortex-m4f-tflm", "cortex-m4f-aot")


def by_target(result: optimize.OptimizeResult, target: str) -> bundle.Bundle:
    return bundle.read(next(path for path in result.bundles if path.stem.endswith(target)))


def test_every_target_gets_its_bundle(optimized: optimize.OptimizeResult, workspace: Path) -> None:
    names = [f"motion-1.1.0-{target}.flota" for target in TARGETS]
    assert [path.name for path in optimized.bundles] == names
    assert Workspace(workspace).evaluation("motion", "1.1.0") == optimized.evaluation
    assert optimized.evaluation.tflm.accuracy >= 0.95
    assert optimized.evaluation.macs < 30_000
    assert optimized.evaluation.int8_bytes < 20 * 1024


@pytest.mark.parametrize("target", TARGETS[:2])
def test_golden_vectors_replay_byte_for_byte(optimized: optimize.OptimizeResult, target: str) -> None:
    packed = by_target(optimized, target)
    runtime = open_runtime(packed)
    cases = packed.golden_cases()
    assert len(cases) >= 8
    assert all(runtime.infer(case) == expected for case, expected in cases)
    runtime.close()


def test_golden_vectors_are_test_cases_of_every_class(optimized: optimize.OptimizeResult, workspace: Path) -> None:
    packed = by_target(optimized, "cortex-m4f-tflm")
    with np.load(optimized.folder / "data.npz") as arrays:
        test_x, test_y = arrays["test_x"], arrays["test_y"]
    cases = [case.tobytes() for case in to_input(test_x, packed.manifest.inputs[0])]
    classes = [test_y[cases.index(case)] for case, _ in packed.golden_cases()]
    assert np.bincount(classes).tolist() == [2, 2, 2, 2]


def test_manifests_say_where_their_numbers_come_from(optimized: optimize.OptimizeResult, workspace: Path) -> None:
    record = Workspace(workspace).trained("motion", "1.1.0")
    for target in TARGETS:
        manifest = by_target(optimized, target).manifest
        assert manifest.labels == record.labels
        assert manifest.accuracy.count == 40
        assert manifest.accuracy.low <= manifest.accuracy.value <= manifest.accuracy.high
        assert manifest.accuracy.float_value == record.test.accuracy
        assert manifest.accuracy.dataset_sha256 == record.dataset_sha256
        assert manifest.provenance.source_sha256 == record.weights_sha256
        assert manifest.provenance.config_sha256 == record.config_sha256
        assert manifest.inputs[0].shape == (1, 100, 1, 6)
        assert manifest.outputs[0].name == "scores"


def test_reference_histograms_count_the_training_set(optimized: optimize.OptimizeResult, workspace: Path) -> None:
    record = Workspace(workspace).trained("motion", "1.1.0")
    histograms = by_target(optimized, "linux-litert").manifest.histograms
    assert tuple(histogram.name for histogram in histograms) == record.features
    for histogram in histograms:
        assert len(histogram.edges) == HISTOGRAM_BINS + 1
        assert sum(histogram.counts) == 40 * 100
        assert list(histogram.edges) == sorted(set(histogram.edges))


def test_microcontroller_images_are_linked_for_both_slots(optimized: optimize.OptimizeResult) -> None:
    packed = by_target(optimized, "cortex-m4f-aot")
    assert packed.manifest.requires.boards == ("qemu-mps2-an386",)
    for slot in ("A", "B"):
        header = parse_image(packed.files[f"images/qemu-mps2-an386/{slot.lower()}.img"])
        assert (header.slot, header.model, header.version) == (slot, "motion", "1.1.0")
        assert header.golden_count == packed.manifest.golden.count
        assert header.arena_bytes == packed.manifest.requires.arena_bytes
    assert packed.files["src/model.c"]


def test_images_for_the_cortex_m55_hold_its_kernels_and_the_same_golden_vectors(
    optimized: optimize.OptimizeResult, workspace: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(workspace, tmp_path / "workspace")
    made = optimize.run("motion", "1.1.0", copy, targets=["cortex-m55-aot"])
    packed, usual = by_target(made, "cortex-m55-aot"), by_target(optimized, "cortex-m4f-aot")
    assert packed.manifest.requires.boards == ("qemu-mps3-an547",)
    assert b"flota_nn_helium_" in packed.files["src/model.c"]
    for file in (packed.manifest.golden.inputs, packed.manifest.golden.outputs):
        assert packed.files[file] == usual.files[file]


def test_optimizing_again_gives_the_same_bytes(optimized: optimize.OptimizeResult, workspace: Path) -> None:
    before = [path.read_bytes() for path in optimized.bundles]
    again = optimize.run("motion", "1.1.0", workspace)
    assert [path.read_bytes() for path in again.bundles] == before


def test_the_command_prints_paths_sizes_and_accuracies(
    optimized: optimize.OptimizeResult, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--version", "1.1.0", "--target", "linux-litert", "--workspace", str(workspace)]
    assert run(["optimize", "motion", *options, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [Path(path).name for path in printed["bundles"]] == ["motion-1.1.0-linux-litert.flota"]
    assert printed["targets"][0]["accuracy"] == optimized.evaluation.litert.accuracy
    assert run(["optimize", "motion", *options]) == 0
    shown = capsys.readouterr().out
    assert "28,992" in shown
    assert "linux-litert" in shown


def test_a_gate_that_fails_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models.train("digits", "1.0.0", tmp_path, epochs=1, seed=1)
    folder = Workspace(tmp_path).model_folder("digits", "1.0.0")
    before = sorted(path.name for path in folder.iterdir())
    assert Workspace(tmp_path).trained("digits", "1.0.0").test.accuracy < 0.92
    with pytest.raises(GateFailed, match="the recipe asks for"):
        optimize.run("digits", "1.0.0", tmp_path)
    assert run(["optimize", "digits", "--workspace", str(tmp_path)]) == 1
    assert "optimize.gate-failed" in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == before
    assert not (tmp_path / "bundles").exists()


def test_a_model_that_is_not_trained_says_how_to_train_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NotTrained):
        optimize.run("motion", "1.0.0", tmp_path)
    assert run(["optimize", "motion", "--workspace", str(tmp_path / "ws")]) == 1
    assert "flota train motion --version 1.0.0" in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "ws").exists()


def test_a_damaged_network_is_refused(optimized: optimize.OptimizeResult, tmp_path: Path) -> None:
    folder = Workspace(tmp_path).model_folder("motion", "1.1.0")
    shutil.copytree(optimized.folder, folder)
    (folder / "float.keras").write_bytes((folder / "float.keras").read_bytes()[:1000])
    with pytest.raises(WorkspaceError, match=r"is not the file train\.json names"):
        optimize.run("motion", "1.1.0", tmp_path)
    assert not (tmp_path / "bundles").exists()


def test_unknown_names_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="no target is called 'toaster'"):
        optimize.run("motion", "1.1.0", tmp_path, targets=["toaster"])
    assert run(["optimize", "moton", "--workspace", str(tmp_path)]) == 2
    assert "known models: digits, motion, vowels" in capsys.readouterr().err
