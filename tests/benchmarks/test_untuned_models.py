"""Architectures that nobody tuned the compiler for give the interpreter's bytes, too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import mcu_inference, untuned_models
from benchmarks.untuned.architectures import ARCHITECTURES

SMALL = ("conv1d", "squeezenet", "tcn", "transformer", "unet")


@pytest.mark.emulated
@pytest.mark.slow
def test_small_ones_give_the_interpreters_bytes(tmp_path: Path) -> None:
    assert untuned_models.main([*SMALL, "--out", str(tmp_path)]) == 0
    rows = tmp_path / "rows.json"
    files = [str(tmp_path / f"{name}.tflite") for name in SMALL]
    assert mcu_inference.main([*files, "--engines", "flota", "--inferences", "3", "--json", str(rows)]) == 0
    assert [(row["model"], row["identical"]) for row in json.loads(rows.read_text())] == [
        (name, True) for name in SMALL
    ]


def test_the_command_keeps_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tcn.tflite").write_bytes(b"kept")
    assert untuned_models.main(["tcn", "rnn", "--out", str(tmp_path)]) == 0
    assert "1 written, 2 in" in capsys.readouterr().out
    assert (tmp_path / "tcn.tflite").read_bytes() == b"kept"
    assert (tmp_path / "rnn.tflite").read_bytes()[4:8] == b"TFL3"


def test_an_unknown_architecture_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        untuned_models.main(["vgg"])
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert all(name in message for name in ("'vgg'", *ARCHITECTURES))
