"""A short run of the fuzzer, without guidance and the same every time; the files that cost time or memory."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tflite_builder import Builder, options

from optimize.compiler import compile_tflite, schema
from optimize.compiler.flatbuffer import root_table
from optimize.errors import InvalidModel

FUZZER = Path(__file__).with_name("fuzz_tflite_reader.py")


def test_a_short_run_of_the_fuzzer_breaks_nothing(tmp_path: Path) -> None:
    command = [sys.executable, str(FUZZER), "--runs", "1000", "--seed", "1", "--artifacts", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "0 broken promises" in done.stdout


def test_the_fuzzer_reports_and_keeps_what_breaks(tmp_path: Path) -> None:
    path = tmp_path / "any.tflite"
    path.write_bytes(b"nothing")
    script = (
        "import sys, fuzz_tflite_reader as f\n"
        "f.examine = lambda data: 1 / 0\n"
        f"sys.argv = ['fuzz', {str(path)!r}, '--artifacts', {str(tmp_path / 'found')!r}]\n"
        "sys.exit(f.main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=FUZZER.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert [found.read_bytes() for found in (tmp_path / "found").iterdir()] == [b"nothing"]


def one_relu() -> tuple[Builder, int, int]:
    b = Builder()
    x = b.tensor((1, 4), scale=0.5)
    return b, x, b.op("RELU", [x], b.tensor((1, 4), scale=0.5))


def refuse(model: bytes, match: str) -> None:
    started = time.process_time()
    with pytest.raises(InvalidModel, match=match):
        compile_tflite(model, name="m")
    assert time.process_time() - started < 5


def test_a_huge_shape_in_a_small_file_is_refused_before_anything_is_allocated() -> None:
    b = Builder()
    x = b.tensor((1, 2**31 - 1, 2**31 - 1, 2**31 - 1), scale=0.5)
    y = b.op("RELU", [x], b.tensor((1, 2**31 - 1, 2**31 - 1, 2**31 - 1), scale=0.5))
    refuse(b.build([x], [y]), "bytes, more than")


def test_thousands_of_tensors_that_share_one_vector_of_scales_are_refused() -> None:
    b, x, y = one_relu()
    shared = b.tensor((60_000,), scale=[0.5] * 60_000)
    b.tensors += [b.tensors[x]] * 5_000
    model = bytearray(b.build([x], [y]))
    graph = root_table(bytes(model), schema.IDENTIFIER).tables(schema.Model.SUBGRAPHS, limit=1, what="")[0]
    target = graph.tables(schema.SubGraph.TENSORS, limit=10_000, what="")[shared].position
    start, count = graph._vector(schema.SubGraph.TENSORS, 4, 10_000, "")
    for place in range(start + 4 * shared, start + 4 * count, 4):
        struct.pack_into("<I", model, place, target - place)
    refuse(bytes(model), "more than 1000000 scales")


def test_thousands_of_operators_that_share_one_constant_are_refused() -> None:
    b = Builder()
    x = y = b.tensor((1, 256), scale=0.5)
    weights = b.tensor((256, 256), scale=0.01, data=np.ones((256, 256), np.int8))
    for _ in range(1_000):
        y = b.op("FULLY_CONNECTED", [y, weights], b.tensor((1, 256), scale=1.0), options("FullyConnectedOptions"))
    refuse(b.build([x], [y]), "bytes of constants")


def test_a_huge_stride_of_a_transposed_convolution_makes_little_code() -> None:
    b = Builder()
    x = b.tensor((1, 2, 2, 1), scale=0.5)
    weights = b.tensor((1, 1, 1, 1), scale=0.5, data=np.ones((1, 1, 1, 1), np.int8))
    y, table = b.tensor((1, 8000, 8000, 1), scale=0.5), options("TransposeConvOptions", strideH=4000, strideW=4000)
    b.op("TRANSPOSE_CONV", [b.constant([1, 8000, 8000, 1]), weights, x], y, table)
    for core in ("portable", "cortex-m4", "cortex-m55"):
        compiled = compile_tflite(b.build([x], [y]), name="m", core=core)
        assert len(compiled.files["model.c"]) < 10_000


def test_a_tensors_name_cannot_break_the_line_of_an_error() -> None:
    b, x, y = one_relu()
    b.tensors[x].name = "a\x1b[2J\nb"
    b.tensors[x].shape = [0]
    with pytest.raises(InvalidModel) as caught:
        compile_tflite(b.build([x], [y]), name="m")
    assert caught.value.message.isprintable()
