"""The comparison of engines: rows, refusals, wrong bytes, and what an engine says when it is not there."""

from __future__ import annotations

import io
import json
from importlib import util
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks import mcu_inference
from benchmarks.inference.bakenn import Bakenn
from benchmarks.inference.engine import Candidate
from benchmarks.inference.errors import Refused
from benchmarks.inference.goals import MLPERF_TINY, goals_of
from benchmarks.inference.known import known_model
from benchmarks.inference.measure import Plan, measure_model
from benchmarks.inference.reference import Reference, run_reference, samples
from benchmarks.inference.rows import Measured, Row
from benchmarks.inference.seeded import SEEDED, Builder, options
from benchmarks.inference.table import best_peer, print_table
from benchmarks.inference.tflite_file import read_signature, simplified
from benchmarks.inference.tflm import Tflm, _adders, smallest_arena
from hil.bare import Engine, SourceFile

BOARD = "qemu-mps2-an386"
KEYS = [
    "model",
    "engine",
    "instructions",
    "cycles_modelled",
    "ram_bytes",
    "flash_bytes",
    "identical",
    "refused",
]


@pytest.fixture(scope="module")
def small() -> bytes:
    return SEEDED["seeded-small"]()


def two_inputs_in_float() -> bytes:
    """Two float32 inputs, quantized, added, and both the sum and its float32 value as outputs."""
    b = Builder()
    inputs = [b.tensor((1, 5), "float32"), b.tensor((1, 5), "float32")]
    stored = [
        b.op("QUANTIZE", [i], b.tensor((1, 5), scale=0.05, zero_point=3), options("QuantizeOptions")) for i in inputs
    ]
    total = b.op("ADD", stored, b.tensor((1, 5), scale=0.1, zero_point=-7), options("AddOptions"))
    real = b.op("DEQUANTIZE", [total], b.tensor((1, 5), "float32"), options("DequantizeOptions"))
    model: bytes = b.build(inputs, [total, real])
    return model


@pytest.mark.emulated
def test_rows_of_models_of_all_sorts(tmp_path: Path, small: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    for name, model in (("small", small), ("floats", two_inputs_in_float()), ("broken", small[:400]), ("empty", b"")):
        (tmp_path / f"{name}.tflite").write_bytes(model)
    paths = [str(tmp_path / f"{name}.tflite") for name in ("small", "floats", "broken", "empty")]
    out = tmp_path / "rows.json"
    code = mcu_inference.main([*paths, "--engines", "flota", "--inferences", "3", "--json", str(out)])
    rows = json.loads(out.read_text())
    assert code == 0
    assert [list(row) for row in rows] == [KEYS] * 4
    assert [(row["model"], row["identical"], row["refused"] is None) for row in rows] == [
        ("small", True, True),
        ("floats", True, True),
        ("broken", None, False),
        ("empty", None, False),
    ]
    assert all(row[key] > 0 for row in rows[:2] for key in KEYS[2:6])
    assert all(row[key] is None for row in rows[2:] for key in KEYS[2:7])
    printed = capsys.readouterr()
    assert "broken, flota: refused: " in printed.out
    assert "small: flota …" in printed.err


@pytest.mark.emulated
def test_a_streaming_model_is_compared_over_its_stream(tmp_path: Path) -> None:
    package = util.find_spec("pymicro_wakeword")
    if package is None or package.origin is None:
        pytest.skip("pymicro-wakeword is missing; pip install 'flota[dev]'")
    model = Path(package.origin).parent / "models" / "hey_jarvis.tflite"
    out = tmp_path / "rows.json"
    assert mcu_inference.main([str(model), "--engines", "flota", "--inferences", "40", "--json", str(out)]) == 0
    (row,) = json.loads(out.read_text())
    assert row["identical"]


def test_a_name_that_is_no_text_is_a_row(tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    mcu_inference.main([str(tmp_path / "bad\udcff.tflite"), "--engines", "flota", "--json", str(rows)])
    assert [row["model"] for row in json.loads(rows.read_text())] == ["bad\ufffd"]


def test_a_file_that_is_not_there_is_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rows.json"
    assert mcu_inference.main([str(tmp_path / "no.tflite"), "--engines", "flota", "--json", str(out)]) == 1
    (row,) = json.loads(out.read_text())
    assert "No such file" in row["refused"]
    assert "no.tflite" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--engines", "flota,tvm"], "unknown engine 'tvm'"),
        (["--inferences", "0"], "at least one inference"),
        (["--json", "/no/such/folder/rows.json"], "there is no folder"),
        (["--json", "/"], "that is a folder"),
    ],
)
def test_bad_arguments_are_refused(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        mcu_inference.main(arguments)
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


class Liar:
    """An engine that answers, but never what it should."""

    name = "flota"

    def __init__(self, source: str) -> None:
        self.source = source

    def missing(self, board: str) -> str:
        return ""

    def check(self, model: bytes, board: str) -> None:
        pass

    def prepare(self, model: bytes, reference: Reference, board: str, folder: Path) -> Candidate:
        files = {"liar.c": f'#include "bare.h"\n{self.source}'.encode()}
        return Candidate(Engine("liar", (SourceFile(Path("liar.c")),), files), reference)


ANSWERS = """
static int8_t in[72], out[4];
int32_t bare_setup(void) { return 0; }
bare_tensor_t bare_input(uint32_t i) { return i == 0 ? (bare_tensor_t){in, sizeof in} : (bare_tensor_t){0, 0}; }
bare_tensor_t bare_output(uint32_t i) { return i == 0 ? (bare_tensor_t){out, sizeof out} : (bare_tensor_t){0, 0}; }
"""


@pytest.mark.emulated
@pytest.mark.parametrize(
    ("source", "identical", "reason"),
    [
        (f"{ANSWERS} int32_t bare_invoke(void) {{ out[0]++; return 0; }}", False, None),
        (f"{ANSWERS} int32_t bare_invoke(void) {{ return -1; }}", None, "liar: the engine failed"),
        (f"{ANSWERS} int32_t bare_invoke(void) {{ return nothing; }}", None, "'nothing' undeclared"),
    ],
    ids=["wrong bytes", "an error", "no program"],
)
def test_an_engine_that_is_wrong_fails(small: bytes, source: str, identical: bool | None, reason: str | None) -> None:
    plan = Plan(BOARD, [Liar(source)], 2, lambda text: None)
    (result,) = measure_model("small", small, plan)
    assert result.failed
    assert result.row.identical is identical
    assert (result.row.refused is None) == (reason is None)
    assert reason is None or reason in (result.row.refused or "")


def test_an_engine_that_breaks_ends_nothing(small: bytes) -> None:
    class Broken(Liar):
        def prepare(self, model: bytes, reference: Reference, board: str, folder: Path) -> Candidate:
            raise KeyError("scale")

    plan = Plan(BOARD, [Broken("")], 2, lambda text: None)
    (result,) = measure_model("small", small, plan)
    assert result.failed
    assert result.row.refused == "it broke: KeyError: 'scale'"


def test_the_reference_streams_the_same_inputs(tmp_path: Path, small: bytes) -> None:
    first, second = (run_reference(small, 4, tmp_path) for _ in range(2))
    assert first == second
    assert len(first.outputs) == 4
    assert first.inputs[0] == (b"\x80" * 72,)
    assert first.inputs[1] == (b"\x7f" * 72,)


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\x1c\0\0\0TFL3" + b"\xff" * 64])
def test_the_reference_refuses_what_is_no_model(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="the reference interpreter"):
        run_reference(data, 1, tmp_path)


def test_samples_stay_in_their_types() -> None:
    signature = read_signature(two_inputs_in_float())
    rows = samples(signature, 6)
    assert all(value.dtype == np.float32 and value.shape == (1, 5) for row in rows for value in row)
    assert all(np.abs(value).max() <= 128 for row in rows for value in row)


def test_a_signature_tells_int8_operators_from_others() -> None:
    signature = read_signature(two_inputs_in_float())
    assert signature.builtins == ("ADD", "DEQUANTIZE", "QUANTIZE")
    assert signature.int8_builtins == ("ADD",)
    assert [info.dtype for info in signature.outputs] == ["int8", "float32"]


def test_a_simplified_model_says_what_is_gone(small: bytes) -> None:
    changed, changes = simplified(small)
    assert changes == (
        "with its open batch closed",
        "its reshape options filled in",
        "without its final SOFTMAX",
    )
    assert "SOFTMAX" not in read_signature(changed).builtins
    assert simplified(changed)[1] == ()


def test_goals_belong_to_a_file_and_a_board(small: bytes) -> None:
    assert goals_of(small, BOARD) == {}
    assert [known.name for known in MLPERF_TINY] == ["kws", "ic", "vww", "ad"]


def test_the_table_has_ratios_and_goals() -> None:
    rows = [
        Row("kws", "flota", 100, 200, 300, 400, True),
        Row("kws", "tflm+cmsis-nn", 250, 400, 600, 600, True),
        Row("kws", "bakenn", 50, 100, 100, 100, False),
        Row("kws", "bakenn+cmsis-nn", refused="no softmax"),
    ]
    goals = {"instructions": 120, "cycles_modelled": 180, "ram_bytes": 300, "flash_bytes": 400}
    console = Console(record=True, width=200, file=io.StringIO())
    print_table([Measured(row) for row in rows], {"kws": goals}, console)
    text = console.export_text()
    assert best_peer(rows, "instructions") == 250  # not the one with wrong bytes
    assert "250 (2.50×)" in text
    assert "≤ 120 met" in text
    assert "≤ 180 missed by 11.1%" in text
    assert "kws, bakenn+cmsis-nn: refused: no softmax" in text


def test_a_name_of_markup_is_text() -> None:
    out = io.StringIO()
    row = Row("[/foo]", "flota", refused="no")
    print_table([Measured(row)], {}, Console(file=out, width=170))
    assert "[/foo]  flota" in out.getvalue()


def test_the_resolver_is_read_from_its_header() -> None:
    header = """
  TfLiteStatus AddCustom(const char* name, const TFLMRegistration* registration) {
  }
  TfLiteStatus AddConv2D(
      const TFLMRegistration& registration = Register_CONV_2D()) {
    return AddBuiltin(BuiltinOperator_CONV_2D, registration, ParseConv2D);
  }
  TfLiteStatus AddWindow() {
    return AddCustom("SignalWindow", tflite::tflm_signal::Register_WINDOW());
  }
 private:
  TfLiteStatus AddBuiltin(tflite::BuiltinOperator op) {
"""
    assert _adders(header) == {"CONV_2D": "AddConv2D", "CUSTOM 'SignalWindow'": "AddWindow"}


@pytest.mark.parametrize(("used", "needed"), [(1000, 0), (1000, 1008), (1000, 1009), (1024, 1025), (992, 992 + 8192)])
def test_the_smallest_arena_is_found(used: int, needed: int) -> None:
    found = smallest_arena(used, lambda arena_bytes: arena_bytes >= needed)
    assert found % 16 == 0
    assert found >= max(needed, used)
    assert found - 16 < max(needed, used)


def test_absent_engines_say_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TFLM_ROOT", raising=False)
    assert "set TFLM_ROOT" in Tflm().missing(BOARD)
    monkeypatch.setenv("TFLM_ROOT", str(tmp_path))
    assert "no tensorflow/lite/micro/micro_interpreter.h below it" in Tflm().missing(BOARD)
    monkeypatch.setenv("BAKENN_PYTHON", "/no/such/python")
    assert "set BAKENN_PYTHON" in Bakenn("bakenn", "portable").missing(BOARD)
    assert "Cortex-M4 only" in Bakenn("bakenn+cmsis-nn", "cmsis-nn").missing("qemu-mps3-an547")


@pytest.mark.emulated
@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "name"), [("tflm+cmsis-nn", "seeded-residual"), ("bakenn", "ad"), ("bakenn+cmsis-nn", "ad")]
)
def test_a_peer_that_is_there_gives_the_interpreters_bytes(engine: str, name: str) -> None:
    contender = next(one for one in mcu_inference.CONTENDERS if one.name == engine)
    model, reason = known_model(name), contender.missing(BOARD)
    if reason or model is None:
        pytest.skip(f"{engine}: {reason}" if reason else f"{name}_int8.tflite is missing; set FLOTA_MLPERF_TINY")
    (result,) = measure_model(name, model, Plan(BOARD, [contender], 3, lambda text: None))
    assert result.row.identical, result.row.refused
    assert result.row.instructions
