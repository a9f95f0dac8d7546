"""What the compiler cannot compile is refused by name, position and what to do; what exporters leave behind is not."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as s
from host_models import load, random_samples, reference, run
from tflite_builder import Builder, options, small_model

from flota.errors import MissingTool
from optimize.compiler import build_host_library, compile_tflite
from optimize.errors import CompilationFailed, InvalidModel, UnsupportedOperator


def one_op(name: str, table: Any = None, *, dtype: str = "int8", out: tuple[int, ...] = (1, 4)) -> bytes:
    b = Builder()
    x = b.tensor((1, 4), dtype, scale=0.5)
    relu = b.op("RELU", [x], b.tensor((1, 4), dtype, scale=0.5))
    return b.build([x], [b.op(name, [relu], b.tensor(out, dtype, scale=0.5), table)])


def test_an_operator_without_code_is_named_with_its_position_and_a_way_out() -> None:
    with pytest.raises(UnsupportedOperator, match=r"operator 1 \(GELU\)") as caught:
        compile_tflite(one_op("GELU"), name="m")
    assert caught.value.hint.startswith("use relu, ")
    assert caught.value.hint.endswith("linux-litert")
    with pytest.raises(UnsupportedOperator, match=r"operator 1 \(MATRIX_DIAG\)") as caught:
        compile_tflite(one_op("MATRIX_DIAG"), name="m")
    assert "CONV_2D" in caught.value.hint


@pytest.mark.parametrize(
    ("custom", "hint"),
    [
        ("MyOp", "rewrite the layer"),
        ("SignalRfft", "compute the features before the model"),
        ("TFLite_Detection_PostProcess", "end the model at boxes and scores"),
        ("ethos-u", "compile the one that Vela was given"),
    ],
)
def test_a_custom_operator_is_named(custom: str, hint: str) -> None:
    """Even where it reads scratch that nothing computes, as in Vela's files."""
    model = s.ModelT.InitFromObj(s.Model.GetRootAs(one_op("CUSTOM"), 0))
    model.operatorCodes[1].customCode = custom
    model.subgraphs[0].tensors.append(model.subgraphs[0].tensors[0])
    model.subgraphs[0].operators[1].inputs = [1, 3]

    packer = flatbuffers.Builder(0)
    packer.Finish(model.Pack(packer), b"TFL3")
    with pytest.raises(UnsupportedOperator, match=rf"operator 1 \(CUSTOM '{custom}'\)") as caught:
        compile_tflite(bytes(packer.Output()), name="m")
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("dtype", "nature", "hint"),
    [
        ("float32", "a float32 model", "full int8 quantization .* representative_dataset"),
        ("int16", r"a model with 16-bit activations \(16x8 quantization\)", "TFLITE_BUILTINS_INT8"),
        ("uint8", "a uint8 model of TensorFlow 1", "converter of TensorFlow 2"),
    ],
)
def test_operators_of_other_types_are_refused_with_what_the_model_is(dtype: str, nature: str, hint: str) -> None:
    with pytest.raises(UnsupportedOperator, match=rf"operator 0 \(RELU\): .* is {dtype}, .*: {nature}$") as caught:
        compile_tflite(one_op("RELU", dtype=dtype), name="m")
    assert re.search(hint, caught.value.hint)


def test_dynamic_range_quantization_is_named() -> None:
    b = Builder()
    x, w = b.tensor((1, 4), "float32"), b.tensor((2, 4), scale=0.5, data=np.ones((2, 4), np.int8))
    model = b.build(
        [x], [b.op("FULLY_CONNECTED", [x, w], b.tensor((1, 2), "float32"), options("FullyConnectedOptions"))]
    )
    with pytest.raises(UnsupportedOperator, match="dynamic range quantization, only its weights are int8"):
        compile_tflite(model, name="m")


def joined(count: int, operators: int = 1) -> bytes:
    """One operator or more, each joining ``count`` pieces."""
    b = Builder()
    x = b.tensor((1, 2), scale=0.5)
    outputs = [
        b.op("CONCATENATION", [x] * count, b.tensor((1, 2 * count), scale=0.5), options("ConcatenationOptions", axis=1))
        for _ in range(operators)
    ]
    return b.build([x], outputs)


def test_an_operator_may_have_many_inputs_but_no_end_of_them(tmp_path: Path) -> None:
    for count in (300, 1024):
        compiled = compile_tflite(joined(count), name="m")
        library = load(build_host_library(compiled, tmp_path / str(count)))
        assert run(library, [np.array([[3, -4]], np.int8)]) == [np.array([3, -4] * count, np.int8).tobytes()]
    with pytest.raises(InvalidModel, match=r"\(CONCATENATION\): 1025 entries, the compiler takes 1024") as caught:
        compile_tflite(joined(1025), name="m")
    assert "in several steps" in caught.value.hint


def test_a_graph_of_thousands_of_tensors_is_compiled_in_seconds() -> None:
    """Split into a thousand and stacked again, over and over; and a thousand operators that may run in any order."""
    b = Builder()
    x = b.tensor((1024, 1), scale=0.5)
    now = x
    for _ in range(4):
        parts = [b.tensor((1,), scale=0.5) for _ in range(1024)]
        b.op("UNPACK", [now], parts, options("UnpackOptions", axis=0, num=1024))
        table = options("PackOptions", axis=0, valuesCount=1024)
        now = b.op("PACK", parts, b.tensor((1024, 1), scale=0.5), table)
    outputs = [b.op("RELU", [x], b.tensor((1024, 1), scale=0.25)) for _ in range(1000)]
    started = time.process_time()
    compile_tflite(b.build([x], [now, *outputs]), name="m")
    assert time.process_time() - started < 20


def test_many_long_operand_lists_are_refused() -> None:
    """They may all be one list, so that a small file would take long."""
    with pytest.raises(InvalidModel, match=r"operator 97 .*more than 100000 operands"):
        compile_tflite(joined(1024, operators=110), name="m")


def test_several_subgraphs_are_refused() -> None:
    model = s.ModelT.InitFromObj(s.Model.GetRootAs(small_model(), 0))
    model.subgraphs.append(model.subgraphs[0])

    packer = flatbuffers.Builder(0)
    packer.Finish(model.Pack(packer), b"TFL3")
    with pytest.raises(InvalidModel, match="2 subgraphs"):
        compile_tflite(bytes(packer.Output()), name="m")


def test_an_open_axis_that_is_not_the_batch_is_refused() -> None:
    b = Builder()
    x = b.tensor((1, 1, 4), scale=0.5, signature=(1, -1, 4))
    y = b.op("RELU", [x], b.tensor((1, 1, 4), scale=0.5))
    with pytest.raises(InvalidModel, match="not the batch"):
        compile_tflite(b.build([x], [y]), name="m")


def test_weights_computed_at_run_time_are_refused() -> None:
    b = Builder()
    x, w = b.tensor((1, 4), scale=0.5), b.tensor((2, 4), scale=0.5)
    y = b.op("FULLY_CONNECTED", [x, w], b.tensor((1, 2), scale=0.5), options("FullyConnectedOptions"))
    with pytest.raises(UnsupportedOperator, match="weights are computed at run time"):
        compile_tflite(b.build([x, w], [y]), name="m")


def test_a_sum_that_leaves_32_bits_is_refused() -> None:
    b = Builder()
    x = b.tensor((1, 4), scale=0.5)
    w = b.tensor((1, 4), scale=0.5, data=np.full((1, 4), 127, np.int8))
    bias = b.tensor((1,), "int32", scale=0.25, data=np.array([2**31 - 1], np.int32))
    y = b.op("FULLY_CONNECTED", [x, w, bias], b.tensor((1, 1), scale=0.5), options("FullyConnectedOptions"))
    with pytest.raises(InvalidModel, match="leave 32 bits"):
        compile_tflite(b.build([x], [y]), name="m")


def test_a_wrong_output_shape_is_refused() -> None:
    with pytest.raises(InvalidModel, match=r"operator 1 \(SOFTMAX\): input \[1, 4\], output \[1, 5\]"):
        compile_tflite(one_op("SOFTMAX", options("SoftmaxOptions", beta=1.0), out=(1, 5)), name="m")


def test_an_operand_defined_too_late_is_refused() -> None:
    b = Builder()
    x, late = b.tensor((1, 4), scale=0.5), b.tensor((1, 4), scale=0.5)
    y = b.op("RELU", [late], b.tensor((1, 4), scale=0.5))
    b.op("RELU", [x], late)
    with pytest.raises(InvalidModel, match="before it is computed"):
        compile_tflite(b.build([x], [y, late]), name="m")


@pytest.mark.parametrize("multiplier", [0, 1, 3])
def test_another_depth_multiplier_than_the_shapes_say_is_refused(multiplier: int) -> None:
    b = Builder()
    x, y = b.tensor((1, 4, 4, 3), scale=0.5), b.tensor((1, 4, 4, 6), scale=0.5)
    weights = b.tensor((1, 3, 3, 6), scale=[0.5] * 6, axis=3, data=np.ones((1, 3, 3, 6), np.int8))
    table = options("DepthwiseConv2DOptions", strideH=1, strideW=1, depthMultiplier=multiplier)
    table.dilationHFactor = table.dilationWFactor = 1
    with pytest.raises(InvalidModel, match=f"a depth multiplier of {multiplier} for 3 channels, 6 filters"):
        compile_tflite(b.build([x], [b.op("DEPTHWISE_CONV_2D", [x, weights], y, table)]), name="m")


def test_a_variable_with_values_is_refused() -> None:
    """LiteRT refuses it; the interpreter would go on with zeros."""
    b = Builder()
    x, axis = b.tensor((2, 3), scale=0.5), b.constant([1], ())
    b.tensors[axis].isVariable = True
    y = b.op("CUMSUM", [x, axis], b.tensor((2, 3), scale=0.5), options("CumsumOptions"))
    with pytest.raises(InvalidModel, match="a variable tensor with values"):
        compile_tflite(b.build([x], [y]), name="m")


@pytest.mark.parametrize("signature", [(-1, 4), (-1, -1, -1)])
def test_a_signature_that_contradicts_the_shape_opens_nothing(signature: tuple[int, ...]) -> None:
    b = Builder()
    x = b.tensor((3, 5), scale=0.5)
    y = b.op("RELU", [x], b.tensor((3, 7), scale=0.5, signature=signature))
    with pytest.raises(InvalidModel, match="15 values in, 21 values out"):
        compile_tflite(b.build([x], [y]), name="m")


def test_a_log_softmax_without_axes_is_refused() -> None:
    b = Builder()
    x = b.tensor((), scale=0.5)
    y = b.op("LOG_SOFTMAX", [x], b.tensor((), scale=1 / 16, zero_point=127))
    with pytest.raises(InvalidModel, match="without axes"):
        compile_tflite(b.build([x], [y]), name="m")


@pytest.mark.filterwarnings("error")
def test_a_scale_that_leaves_float32_when_doubled_is_refused_without_a_warning() -> None:
    b = Builder()
    x, large = b.tensor((1, 3), scale=0.5), b.tensor((1, 3), scale=3e38)
    y = b.op("SUB", [x, large], b.tensor((1, 3), scale=0.5), options("SubOptions"))
    with pytest.raises(InvalidModel, match="its scales give a factor"):
        compile_tflite(b.build([x, large], [y]), name="m")


def test_scales_without_zero_points_are_refused() -> None:
    """As LiteRT does; the interpreter would take such a tensor for one without scales."""
    b = Builder()
    x = b.tensor((1, 3), scale=0.5)
    b.tensors[x].quantization.zeroPoint = None
    model = b.build([x], [b.op("RELU", [x], b.tensor((1, 3), scale=0.5))])
    with pytest.raises(InvalidModel, match="1 scales but 0 zero points"):
        compile_tflite(model, name="m")


def test_the_shape_arithmetic_of_an_open_batch_is_dropped(tmp_path: Path) -> None:
    """SHAPE -> STRIDED_SLICE -> PACK -> RESHAPE, a Keras Flatten with an open batch; only the RELU needs code."""
    b = Builder()
    x = b.tensor((1, 2, 3), scale=0.5, signature=(-1, 2, 3))
    shape = b.op("SHAPE", [x], b.tensor((3,), "int32"))
    ends = [b.constant([0]), b.constant([1]), b.constant([1])]
    batch = b.op(
        "STRIDED_SLICE", [shape, *ends], b.tensor((), "int32"), options("StridedSliceOptions", shrinkAxisMask=1)
    )
    table = options("PackOptions", axis=0, valuesCount=2)
    packed = b.op("PACK", [batch, b.constant([6], ())], b.tensor((2,), "int32"), table)
    flat = b.op("RESHAPE", [x, packed], b.tensor((1, 6), scale=0.5), options("ReshapeOptions"))
    model = b.build([x], [b.op("RELU", [flat], b.tensor((1, 6), scale=0.25, zero_point=-128))])
    compiled = compile_tflite(model, name="m")
    assert compiled.operators == ("RELU",)
    library = load(build_host_library(compiled, tmp_path))
    assert run(library, [np.arange(-3, 3, dtype=np.int8)]) == [
        np.array([-128] * 3 + [-128, -126, -124], np.int8).tobytes()
    ]


def test_a_reshape_of_an_input_is_an_output_without_code(tmp_path: Path) -> None:
    b = Builder()
    x = b.tensor((1, 6), scale=0.5)
    model = b.build(
        [x], [b.op("RESHAPE", [x, b.constant([2, 3])], b.tensor((2, 3), scale=0.5), options("ReshapeOptions"))]
    )
    compiled = compile_tflite(model, name="m")
    assert compiled.operators == compiled.kernel_sources == ()
    assert compiled.arena_bytes == 8
    samples = random_samples(compiled, 3, seed=1)
    library = load(build_host_library(compiled, tmp_path))
    assert [run(library, sample) for sample in samples] == reference(model, samples)


def test_a_pad_is_fused_into_its_convolution() -> None:
    b = Builder()
    x = b.tensor((1, 4, 4, 1), scale=0.5, zero_point=3)
    padded = b.tensor((1, 6, 6, 1), scale=0.5, zero_point=3)
    b.op("PAD", [x, b.constant([0, 0, 1, 1, 1, 1, 0, 0], (4, 2))], padded)
    w = b.tensor((1, 3, 3, 1), scale=0.5, data=np.ones((1, 3, 3, 1), np.int8))
    table = options("Conv2DOptions", padding=1, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
    y = b.op("CONV_2D", [padded, w], b.tensor((1, 4, 4, 1), scale=4.0), table)
    compiled = compile_tflite(b.build([x], [y]), name="m")
    assert compiled.operators == ("CONV_2D",)
    assert b".pad_y = 1, .pad_x = 1" in compiled.files["model.c"]


def test_float_inputs_saturate_and_nan_is_the_zero_point(tmp_path: Path) -> None:
    b = Builder()
    x = b.tensor((1, 8), "float32")
    model = b.build([x], [b.op("QUANTIZE", [x], b.tensor((1, 8), scale=0.5, zero_point=-7))])
    library = load(build_host_library(compile_tflite(model, name="m"), tmp_path))
    values = np.array([[0.0, 0.25, -0.25, 0.2499, 1e30, -1e30, np.inf, np.nan]], np.float32)
    assert np.frombuffer(run(library, [values])[0], np.int8).tolist() == [-7, -6, -8, -7, 127, -128, 127, -7]


def test_a_flat_softmax_of_many_classes_rounds_to_zero(tmp_path: Path) -> None:
    b = Builder()
    x = b.tensor((1, 600), scale=0.5)
    model = b.build(
        [x],
        [b.op("SOFTMAX", [x], b.tensor((1, 600), scale=1 / 256, zero_point=-128), options("SoftmaxOptions", beta=1.0))],
    )
    library = load(build_host_library(compile_tflite(model, name="m"), tmp_path))
    assert set(run(library, [np.zeros((1, 600), np.int8)])[0]) == {0x80}
    one_hot = np.where(np.arange(600) == 7, 100, -100).astype(np.int8)
    assert run(library, [one_hot]) == reference(model, [[one_hot.reshape(1, 600)]])[0]


def test_names_cannot_leave_their_comment(tmp_path: Path) -> None:
    compiled = compile_tflite(small_model(), name='*/ #error "\\\n/* é')
    assert "é" not in compiled.files["model.c"].decode()
    build_host_library(compiled, tmp_path)


def test_a_missing_compiler_is_said_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = compile_tflite(small_model(), name="m")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool) as caught:
        build_host_library(compiled, tmp_path / "out")
    assert caught.value.hint == "apt-get install gcc libc6-dev"
    assert not (tmp_path / "out").exists()


def test_a_misaligned_arena_is_refused_by_the_model(tmp_path: Path) -> None:
    library = load(build_host_library(compile_tflite(small_model(), name="m"), tmp_path))
    assert library.invoke(None) == -1
    raw = np.zeros(library.arena_bytes + 32, np.uint8)
    assert library.invoke(raw.ctypes.data - raw.ctypes.data % 16 + 17) == -1
    assert not raw.any()


def test_code_the_c_compiler_refuses_is_reported_and_nothing_is_written(tmp_path: Path) -> None:
    compiled = compile_tflite(small_model(), name="m")
    broken = replace(compiled, files=compiled.files | {"model.c": b"int32_t broken;\n"})
    with pytest.raises(CompilationFailed, match=r"gcc refused the model's code: .*error"):
        build_host_library(broken, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_constant_output_is_named() -> None:
    builder = Builder()
    x, y = builder.tensor((1, 4)), builder.tensor((1, 4))
    builder.op("RELU", [x], y)
    constant = builder.tensor((1, 4), data=np.arange(4, dtype=np.int8))
    with pytest.raises(InvalidModel, match="is a constant") as refusal:
        compile_tflite(builder.build([x], [y, constant]), name="constant")
    assert "outputs" in refusal.value.hint
