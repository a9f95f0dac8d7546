from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_bundles import CASES, write_bundles
from tflite_builder import small_model

from flota.cli import run
from hil.bench.report import read_report

BOARD = "qemu-mps2-an386"
QUICK = ("--inferences", "6", "--warmup", "1")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = tmp_path_factory.mktemp("small") / "workspace"
    write_bundles(workspace)
    write_bundles(workspace, version="1.10.0")
    return workspace


@pytest.fixture
def workspace(bundles: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundles, tmp_path / "workspace"))


def bench(workspace: Path, *arguments: str) -> int:
    return run(["bench", *arguments, "--workspace", str(workspace)])


@pytest.mark.emulated
def test_a_bundle_is_benched_on_the_emulated_board(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(workspace, "small", *QUICK, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    report = read_report(workspace / "reports" / f"small-1.10.0-{BOARD}.json")
    assert report.model_dump(mode="json") == printed
    assert report.outputs.checked == report.outputs.equal == 7
    assert report.outputs.cases == CASES
    assert report.board.emulated
    assert report.figures["instructions"].source.kind == "counted"
    assert "emulated" in report.figures["instructions"].source.where
    assert report.figures["instructions"].readings == 6
    cycles = report.figures["cycles"]
    assert (cycles.unit, cycles.source.kind, cycles.readings) == ("cycles", "modelled", CASES)
    assert "zero wait states" in cycles.source.how
    assert cycles.value > report.figures["instructions"].value
    assert {name for name, figure in report.figures.items() if figure.value > 0} == set(report.figures)
    assert "ms" not in {figure.unit for figure in report.figures.values()}
    assert {"qemu", "arm-none-eabi-gcc"} <= set(report.tools)


@pytest.mark.emulated
def test_instructions_are_the_same_on_every_run(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(workspace, "small", *QUICK, "--version", "1.0.0") == 0
    earlier = workspace / "reports" / f"small-1.0.0-{BOARD}.json"
    assert bench(workspace, "small", *QUICK, "--version", "1.0.0", "--compare", str(earlier)) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[-1] for line in lines if line[:1] == ["instructions"]][-1] == "1.000"


@pytest.mark.emulated
def test_a_bare_tflite_file_is_compiled_and_benched(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = workspace / "Small Model.tflite"
    model.write_bytes(small_model())
    assert bench(workspace, str(model), *QUICK) == 0
    printed = capsys.readouterr().out
    assert "7 of 7 equal (tflite_micro on 6 seeded inputs, seed 1)" in printed
    assert re.search(r"^ *cycles, modelled +[\d,]+ .* modelled \[\d\]", printed, re.MULTILINE)
    assert read_report(workspace / "reports" / f"small-model-0.0.0-{BOARD}.json").subject.kind == "tflite"


@pytest.mark.emulated
def test_a_bare_tflite_file_is_benched_on_the_cortex_m55(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = workspace / "small.tflite"
    model.write_bytes(small_model())
    assert bench(workspace, str(model), *QUICK, "--board", "qemu-mps3-an547", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["outputs"]["checked"] == report["outputs"]["equal"] == 7
    assert report["subject"]["target"] == "cortex-m55-aot"
    assert "cycles" not in report["figures"]
    assert report["figures"]["instructions"]["source"]["how"].startswith("timer at 125 instructions a tick")


@pytest.mark.emulated
def test_a_wrong_output_fails_and_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_bundles(tmp_path, wrong_case=3)
    assert bench(tmp_path, "small", *QUICK) == 1
    captured = capsys.readouterr()
    assert "1 of 7 outputs are wrong; case 3: byte 0" in captured.err
    assert "(bench.wrong-output)" in captured.err
    assert not read_report(tmp_path / "reports" / f"small-1.0.0-{BOARD}.json").outputs.passed


def test_a_bundle_is_timed_on_this_machine(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(workspace, "small", "--board", "host", *QUICK, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    latency = report["figures"]["latency"]
    assert (latency["unit"], latency["source"]["kind"], latency["readings"]) == ("ms", "measured", 6)
    assert 0 < latency["minimum"] <= latency["value"] <= latency["p95"] <= latency["maximum"]
    assert not report["board"]["emulated"]
    assert "CPUs" in report["board"]["description"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["smal"], 2, "no cortex-m4f-aot bundle of a model 'smal'"),
        (["small", "--board", "qemu"], 2, "there is no board 'qemu'"),
        (["small", "--version", "9.9.9"], 2, "small 9.9.9 is not in"),
        (["none.flota"], 1, "none.flota: No such file"),
        (["none.tflite"], 1, "none.tflite: No such file"),
        (["none.tflite", "--board", "host"], 2, "is benched on a microcontroller board"),
        (["small", "--compare", "none.json"], 1, "none.json: No such file"),
        (["small", "--bundle", "{litert}"], 1, "holds no image for qemu-mps2-an386"),
        (["small", "--board", "host", "--bundle", "{aot}"], 2, "runs on aot-c, not on this machine"),
        (["{truncated}"], 1, "truncated.tflite|file of 100 bytes"),
        (["{changed}"], 1, "(bundle."),
    ],
)
def test_a_bad_request_is_one_line_and_writes_nothing(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    aot = workspace / "bundles" / "small-1.0.0-cortex-m4f-aot.flota"
    truncated, changed = tmp_path / "truncated.tflite", tmp_path / "changed.flota"
    truncated.write_bytes(small_model()[:100])
    content = bytearray(aot.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    names = {"litert": aot.with_name("small-1.0.0-linux-litert.flota"), "aot": aot}
    names |= {"truncated": truncated, "changed": changed}
    before = sorted(tmp_path.rglob("*"))
    assert bench(workspace, *(argument.format(**names) for argument in arguments)) == code
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.strip()]
    assert lines[0].startswith("error: ")
    assert any(word in lines[0] for word in words.split("|"))
    assert len(lines) <= 2
    assert captured.out == ""
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("missing", ["qemu-system-arm", "arm-none-eabi-gcc"])
def test_a_missing_tool_is_one_line_and_writes_nothing(workspace: Path, tmp_path: Path, missing: str) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in {"qemu-system-arm", "arm-none-eabi-gcc"} - {missing}:
        found = shutil.which(tool)
        if found is None:
            pytest.skip(f"{tool} is not installed")
        (tools / tool).symlink_to(found)
    before = sorted(workspace.rglob("*"))
    command = [sys.executable, "-m", "flota", "bench", "small", "--workspace", str(workspace)]
    done = subprocess.run(command, env={"PATH": str(tools)}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"error: {missing} is not installed (tool.missing)" in done.stderr
    assert "apt-get install" in done.stderr
    assert sorted(workspace.rglob("*")) == before
