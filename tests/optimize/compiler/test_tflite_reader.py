"""The reader turns any bytes into a graph, an InvalidModel or an UnsupportedOperator, quickly."""

from __future__ import annotations

import os
import random
import re
import time
from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as s
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_builder import small_model

from optimize.compiler import compile_tflite, schema
from optimize.errors import InvalidModel, OptimizeError, UnsupportedOperator

MODEL = small_model()
REPOSITORY = Path(__file__).resolve().parents[3]
KWS = Path(os.environ.get("FLOTA_MLPERF_TINY", REPOSITORY / "../shared/data/mlperf_tiny")) / "kws_int8.tflite"


def compile_or_refuse(data: bytes) -> bool:
    """Whether ``data`` compiled; any error but the two the reader may raise fails the test."""
    refusal: OptimizeError | None = None
    try:
        compile_tflite(data, name="fuzz")
    except (InvalidModel, UnsupportedOperator) as error:
        refusal = error
    assert refusal is None or (refusal.hint and "\n" not in refusal.message)
    return refusal is None


def test_every_prefix_is_refused() -> None:
    # The data of the last buffer may end the file, so only what lies before it is sure to be missed.
    assert not any(compile_or_refuse(MODEL[:end]) for end in range(len(MODEL) - 8))


def test_flipped_bits_never_escape() -> None:
    rng = random.Random(3)
    for _ in range(1500):
        data = bytearray(MODEL)
        for _ in range(rng.choice((1, 1, 1, 2, 8))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        compile_or_refuse(bytes(data))


def test_every_word_replaced_by_extremes_never_escapes() -> None:
    for position in range(0, len(MODEL) - 3, 4):
        for word in (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x00\x00\x00\x00"):
            compile_or_refuse(MODEL[:position] + word + MODEL[position + 4 :])


@settings(deadline=None, max_examples=300)
@given(data=st.binary(max_size=400))
def test_random_bytes_are_refused(data: bytes) -> None:
    assert not compile_or_refuse(data)
    assert not compile_or_refuse(data[:4] + schema.IDENTIFIER + data[4:])


def test_a_large_damaged_file_is_refused_in_time() -> None:
    if not KWS.is_file():
        pytest.skip(f"{KWS} is missing; set FLOTA_MLPERF_TINY to the folder of the MLPerf Tiny models")
    model, rng = KWS.read_bytes(), random.Random(5)
    started = time.monotonic()
    for _ in range(60):
        data = bytearray(model)
        for _ in range(rng.choice((1, 4, 64))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        compile_or_refuse(bytes(data))
    assert time.monotonic() - started < 60


def test_the_declared_names_are_the_schemas() -> None:
    operators = {v: k for k, v in vars(s.BuiltinOperator).items() if not k.startswith("_")}
    types = {v: k for k, v in vars(s.TensorType).items() if not k.startswith("_")}
    assert dict(enumerate(schema.OPERATOR_NAMES)) == operators
    assert dict(enumerate(schema.TYPE_NAMES)) == types
    assert [getattr(s.ActivationFunctionType, name) for name in schema.ACTIVATIONS] == list(range(6))
    assert [getattr(s.Padding, name) for name in schema.PADDINGS] == [0, 1]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (schema.Model, ("Model",)),
        (schema.OperatorCode, ("OperatorCode",)),
        (schema.SubGraph, ("SubGraph",)),
        (schema.Tensor, ("Tensor",)),
        (schema.QuantizationParameters, ("QuantizationParameters",)),
        (schema.Operator, ("Operator",)),
        (schema.Buffer, ("Buffer",)),
        (schema.Conv2DOptions, ("Conv2DOptions",)),
        (schema.DepthwiseConv2DOptions, ("DepthwiseConv2DOptions",)),
        (schema.FullyConnectedOptions, ("FullyConnectedOptions",)),
        (schema.Pool2DOptions, ("Pool2DOptions",)),
        (schema.ArithmeticOptions, ("AddOptions", "SubOptions", "MulOptions", "DivOptions")),
        (schema.SoftmaxOptions, ("SoftmaxOptions",)),
        (schema.ConcatenationOptions, ("ConcatenationOptions",)),
        (schema.VarHandleOptions, ("VarHandleOptions",)),
        (schema.CallOnceOptions, ("CallOnceOptions",)),
        (schema.UnidirectionalSequenceLSTMOptions, ("UnidirectionalSequenceLSTMOptions",)),
        (schema.SVDFOptions, ("SVDFOptions",)),
        (schema.BatchMatMulOptions, ("BatchMatMulOptions",)),
        *(
            (getattr(schema, name), (name,))
            for name in (
                "CumsumOptions",
                "DepthToSpaceOptions",
                "GatherOptions",
                "LeakyReluOptions",
                "MirrorPadOptions",
                "PackOptions",
                "ReducerOptions",
                "ReshapeOptions",
                "ResizeBilinearOptions",
                "ResizeNearestNeighborOptions",
                "SpaceToDepthOptions",
                "SqueezeOptions",
                "StridedSliceOptions",
                "TransposeConvOptions",
                "UnpackOptions",
            )
        ),
    ],
)
def test_the_declared_field_numbers_are_the_schemas(ours: type[schema.Model], theirs: tuple[str, ...]) -> None:
    source = Path(s.__file__).read_text()
    for name in theirs:
        body = re.search(rf"class {name}\(object\):.*?(?=\nclass |\ndef )", source, re.DOTALL)
        assert body is not None
        offsets = dict(re.findall(r"def (\w+)\(self[^)]*\):\n.*?self\._tab\.Offset\((\d+)\)", body.group(0)))
        for field in ours:
            camel = "".join(word.capitalize() for word in field.name.split("_"))
            assert int(offsets[camel]) == 4 + 2 * field.value, (name, field)


def test_options_types_are_the_schemas() -> None:
    from optimize.compiler.operators import RULES

    unions = {v: k for k, v in vars(s.BuiltinOptions).items() if not k.startswith("_")}
    expected = {"AVERAGE_POOL_2D": "Pool2DOptions", "MAX_POOL_2D": "Pool2DOptions", "CONV_2D": "Conv2DOptions"}
    expected |= {"L2_NORMALIZATION": "L2NormOptions", "BATCH_MATMUL": "BatchMatMulOptions"}
    expected |= dict.fromkeys(
        ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ALL"), "ReducerOptions"
    )
    for name, rule in RULES.items():
        if rule.options_type:
            default = "".join(w.capitalize() for w in name.replace("_2D", "").split("_")) + "Options"
            wanted = expected.get(name, "DepthwiseConv2DOptions" if name.startswith("DEPTHWISE") else default)
            assert unions[rule.options_type] == wanted


def test_options_types_read_by_hand_are_the_schemas() -> None:
    assert s.BuiltinOptions.VarHandleOptions == schema.VAR_HANDLE_OPTIONS
    assert s.BuiltinOptions.CallOnceOptions == schema.CALL_ONCE_OPTIONS
    assert s.BuiltinOptions.SVDFOptions == schema.SVDF_OPTIONS
    assert s.BuiltinOptions.UnidirectionalSequenceLSTMOptions == schema.LSTM_OPTIONS
