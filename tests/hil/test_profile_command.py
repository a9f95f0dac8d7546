"""``flota profile`` on a small model: from the workspace, from a bundle, from a file, and every refusal."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from small_bundles import write_bundles
from tflite_builder import small_model

from flota.cli import run
from hil.profile import ProfileReport
from optimize.facts import read_facts


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = tmp_path_factory.mktemp("profiled") / "workspace"
    write_bundles(workspace)
    write_bundles(workspace, version="1.10.0")
    return workspace


def profiled(capsys: pytest.CaptureFixture[str], *arguments: str) -> ProfileReport:
    assert run(["profile", *arguments, "--json"]) == 0
    return ProfileReport.model_validate_json(capsys.readouterr().out)


@pytest.mark.emulated
def test_a_model_of_the_workspace_beside_itself(bundles: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Operators add up to the whole, and the figures are those of a bench of the same model."""
    report = profiled(
        capsys, "small", "--against", "small@1.0.0", "--against-core", "portable", "--workspace", str(bundles)
    )
    tuned, portable = report.profiles
    assert (tuned.model, portable.model) == ("small 1.10.0", "small 1.0.0")
    assert (tuned.core, portable.core) == ("cortex-m4", "portable")
    facts = read_facts(small_model())
    for profile in report.profiles:
        assert profile.identical
        assert profile.cycles_modelled is not None
        rest = profile.instructions - sum(step.instructions for step in profile.steps)
        assert 0 < rest < 200  # invoke calls each operator
        assert all(step.instructions > 0 and (step.cycles_modelled or 0) > step.instructions for step in profile.steps)
        assert sum(step.share for step in profile.steps) == pytest.approx(1.0, abs=0.05)
        assert profile.macs == facts.macs
        assert max(row.end for row in profile.memory) <= profile.arena_bytes
    assert tuned.instructions < portable.instructions
    assert "modelled" in report.how


@pytest.mark.emulated
def test_a_file_with_a_picture(bundles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, picture = tmp_path / "small.tflite", tmp_path / "memory.svg"
    model.write_bytes(small_model())
    assert run(["profile", str(model), "--picture", str(picture)]) == 0
    text = capsys.readouterr().out
    assert "whole inference" in text
    assert "cycles, modelled" in text
    assert "outputs equal to TFLM's" in text
    assert picture.read_text().startswith("<svg ")


@pytest.mark.emulated
def test_the_other_board_counts_only(bundles: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = bundles / "bundles" / "small-1.0.0-cortex-m4f-aot.flota"  # the model file is in the one beside it
    report = profiled(capsys, str(bundle), "--board", "qemu-mps3-an547")
    assert report.profiles[0].cycles_modelled is None
    assert all(step.cycles_modelled is None and step.instructions > 0 for step in report.profiles[0].steps)
    assert "cycles" not in report.how


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["smal"], 2, "did you mean small?"),
        (["small@9.9.9"], 2, "small 9.9.9 is not in"),
        (["none.tflite"], 1, "none.tflite: No such file"),
        (["none.flota"], 1, "none.flota: No such file"),
        (["small", "--board", "host"], 2, "bare programs do not run on 'host'"),
        (["small", "--core", "cortex-m5"], 1, "no kernels for a core 'cortex-m5'"),
        (["small", "--core", "cortex-m55"], 2, "kernels for cortex-m55 do not run on the Arm Cortex-M4F"),
        (["small", "--against-core", "cortex-m55"], 2, "use one of: portable, cortex-m4"),
        (["small", "--picture", "memory.pdf"], 2, "an .svg or a .png file"),
        (["{alone}"], 2, "no model file to profile"),
        (["{broken}"], 1, "not a .tflite file"),
    ],
)
def test_a_bad_request_is_one_line(
    bundles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    alone, broken = tmp_path / "small-1.0.0-cortex-m4f-aot.flota", tmp_path / "broken.tflite"
    shutil.copy(bundles / "bundles" / alone.name, alone)
    broken.write_bytes(b"no model")
    filled = [argument.format(alone=alone, broken=broken) for argument in arguments]
    assert run(["profile", *filled, "--workspace", str(bundles)]) == code
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("error:") == 1
    assert not captured.out


@pytest.mark.emulated
def test_a_file_whose_name_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, picture = tmp_path / "bad\udcff\n.tflite", tmp_path / "memory.svg"
    model.write_bytes(small_model())
    assert profiled(capsys, str(model), "--picture", str(picture)).profiles[0].model == "bad\ufffd\ufffd"
    ElementTree.parse(picture)
