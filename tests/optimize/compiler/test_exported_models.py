"""Models as converters export them: open batches and sizes, shape arithmetic, metadata, gaps among operands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as s
from host_models import load, random_samples, reference, run
from tflite_builder import Builder, options, small_model

from optimize.compiler import build_host_library, compile_tflite
from optimize.errors import InvalidModel, UnsupportedOperator

RNG = np.random.default_rng(11)


def packed(model: Any) -> bytes:
    packer = flatbuffers.Builder(0)
    packer.Finish(model.Pack(packer), b"TFL3")
    return bytes(packer.Output())


def unpacked(data: bytes) -> Any:
    return s.ModelT.InitFromObj(s.Model.GetRootAs(data, 0))


def dense_on_three_axes(*, is_open: bool) -> bytes:
    """Keras: Dense on [batch, 5, 8]: reshape to [-1, 8], multiply, back to the shape that arithmetic finds."""
    b, rng = Builder(), np.random.default_rng(11)

    def tensor(shape: tuple[int, ...], recorded: tuple[int, ...], signature: tuple[int, ...], **quant: Any) -> int:
        return b.tensor(recorded, signature=signature, **quant) if is_open else b.tensor(shape, **quant)

    x = b.tensor((1, 5, 8), scale=0.05, zero_point=-3, signature=(-1, 5, 8))
    weights = b.tensor((6, 8), scale=0.02, data=rng.integers(-127, 128, (6, 8)).astype(np.int8))
    flat = tensor((5, 8), (1, 8), (-1, 8), scale=0.05, zero_point=-3)
    b.op("RESHAPE", [x, b.constant([-1, 8])], flat, options("ReshapeOptions"))
    y = tensor((5, 6), (1, 6), (-1, 6), scale=0.1, zero_point=4)
    b.op("FULLY_CONNECTED", [flat, weights], y, options("FullyConnectedOptions"))
    target = b.constant([1, 5, 6])
    if is_open:
        shape = b.op("SHAPE", [x], b.tensor((3,), "int32"), options("ShapeOptions", outType=2))
        gather = options("GatherOptions")
        kept = b.op("GATHER", [shape, b.constant([0, 1])], b.tensor((2,), "int32"), gather)
        target = b.tensor((3,), "int32")
        b.op("CONCATENATION", [kept, b.constant([6])], target, options("ConcatenationOptions", axis=0))
    back = tensor((1, 5, 6), (1, 1, 1), (-1, -1, -1), scale=0.1, zero_point=4)
    b.op("RESHAPE", [y, target], back, options("ReshapeOptions"))
    last = tensor((1, 5, 6), (1, 1, 1), (-1, -1, -1), scale=1 / 256, zero_point=-128)
    b.op("LOGISTIC", [back], last)
    means = tensor((1, 6), (1, 1), (-1, -1), scale=1 / 256, zero_point=-128)
    b.op("MEAN", [last, b.constant([1])], means, options("ReducerOptions", keepDims=False))
    return b.build([x], [means])


def test_shapes_left_open_follow_from_the_inputs(tmp_path: Path) -> None:
    """The interpreter refuses the open model; it gives what the same model with fixed shapes gives."""
    fixed = dense_on_three_axes(is_open=False)
    compiled = compile_tflite(dense_on_three_axes(is_open=True), name="m")
    assert compiled.outputs[0].shape == (1, 6)
    library = load(build_host_library(compiled, tmp_path))
    samples = random_samples(compiled, 5, seed=1)
    assert [run(library, sample) for sample in samples] == reference(fixed, samples)


def test_a_dilated_convolution_through_batches_with_an_open_batch(tmp_path: Path) -> None:
    """SPACE_TO_BATCH_ND multiplies the batch, for which the converter records a one."""
    b = Builder()
    quant = {"scale": 0.05, "zero_point": -3}
    x = b.tensor((1, 8, 8, 2), signature=(-1, 8, 8, 2), **quant)
    weights = b.tensor((3, 3, 3, 2), scale=0.02, data=RNG.integers(-127, 128, (3, 3, 3, 2)).astype(np.int8))
    spread = b.tensor((1, 4, 4, 2), signature=(-1, 4, 4, 2), **quant)
    b.op("SPACE_TO_BATCH_ND", [x, b.constant([2, 2]), b.constant([0] * 4, (2, 2))], spread)
    y = b.tensor((1, 2, 2, 3), signature=(-1, 2, 2, 3), scale=0.2, zero_point=1)
    fields = {"padding": 1, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    b.op("CONV_2D", [spread, weights], y, options("Conv2DOptions", **fields))
    out = b.tensor((1, 4, 4, 3), signature=(-1, 4, 4, 3), scale=0.2, zero_point=1)
    b.op("BATCH_TO_SPACE_ND", [y, b.constant([2, 2]), b.constant([0] * 4, (2, 2))], out)
    compiled = compile_tflite(b.build([x], [out]), name="m")
    library = load(build_host_library(compiled, tmp_path))

    direct = Builder()
    x = direct.tensor((1, 8, 8, 2), **quant)
    constant = np.frombuffer(bytes(b.buffers[b.tensors[weights].buffer].data), np.int8).reshape(3, 3, 3, 2)
    weights = direct.tensor((3, 3, 3, 2), scale=0.02, data=constant)
    out = direct.tensor((1, 4, 4, 3), scale=0.2, zero_point=1)
    table = options("Conv2DOptions", **(fields | {"dilationHFactor": 2, "dilationWFactor": 2}))
    direct.op("CONV_2D", [x, weights], out, table)
    samples = random_samples(compiled, 5, seed=1)
    assert [run(library, sample) for sample in samples] == reference(direct.build([x], [out]), samples)


def test_metadata_and_signatures_change_nothing() -> None:
    model = unpacked(small_model())
    note = s.MetadataT()
    note.name, note.buffer = "min_runtime_version", len(model.buffers)
    extra = s.BufferT()
    extra.data = np.frombuffer(b"1.14.0" + bytes(10), np.uint8)
    model.buffers.append(extra)
    model.metadata = [note]
    signature = s.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    entry = s.TensorMapT()
    entry.name, entry.tensorIndex = "x", 0
    signature.inputs, signature.outputs = [entry], [entry]
    model.signatureDefs = [signature]
    assert compile_tflite(packed(model), name="m") == compile_tflite(small_model(), name="m")


def test_data_outside_the_flatbuffer_is_refused() -> None:
    model = unpacked(small_model())
    model.buffers[1].data, model.buffers[1].offset, model.buffers[1].size = None, 4096, 54
    with pytest.raises(InvalidModel, match="data outside the FlatBuffer"):
        compile_tflite(packed(model), name="m")


def test_a_bias_may_be_left_out_by_a_gap() -> None:
    model = unpacked(small_model())
    for operator in model.subgraphs[0].operators:
        if len(operator.inputs) == 2 and operator.builtinOptionsType == s.BuiltinOptions.FullyConnectedOptions:
            operator.inputs = [*operator.inputs, -1]
    assert compile_tflite(packed(model), name="m") == compile_tflite(small_model(), name="m")


def test_a_gap_where_an_operand_is_needed_is_refused() -> None:
    model = unpacked(small_model())
    model.subgraphs[0].operators[-1].inputs = [-1]
    with pytest.raises(InvalidModel, match="tensor -1 does not exist"):
        compile_tflite(packed(model), name="m")


@pytest.mark.parametrize("new_shape", [[2, 3], [-1, 3]])
def test_a_reshape_may_say_its_target_in_its_options_only(new_shape: list[int]) -> None:
    b = Builder()
    x = b.tensor((1, 6), scale=0.5)
    y = b.tensor((-1, 1), scale=0.5, signature=(-1, -1))
    b.op("RESHAPE", [x], y, options("ReshapeOptions", newShape=new_shape))
    compiled = compile_tflite(b.build([x], [b.op("RELU", [y], b.tensor((2, 3), scale=0.5))]), name="m")
    assert compiled.outputs[0].shape == (2, 3)


def test_an_operator_on_another_type_is_refused_with_its_tensor() -> None:
    for dtype in ("int16", "uint8"):
        b = Builder()
        x = b.tensor((1, 4), dtype, scale=0.5)
        model = b.build([x], [b.op("HARD_SWISH", [x], b.tensor((1, 4), dtype, scale=0.5))])
        with pytest.raises(UnsupportedOperator, match=rf"\(HARD_SWISH\): tensor 0 \(t0\) is {dtype}"):
            compile_tflite(model, name="m")


def test_several_batches(tmp_path: Path) -> None:
    b = Builder()
    x = b.tensor((3, 4, 4, 2), scale=0.05, zero_point=-3)
    weights = b.tensor((3, 3, 3, 2), scale=0.02, data=RNG.integers(-127, 128, (3, 3, 3, 2)).astype(np.int8))
    y = b.tensor((3, 2, 2, 3), scale=0.2, zero_point=1)
    fields = {"padding": 0, "strideH": 2, "strideW": 2, "dilationHFactor": 1, "dilationWFactor": 1}
    model = b.build([x], [b.op("CONV_2D", [x, weights], y, options("Conv2DOptions", **fields))])
    compiled = compile_tflite(model, name="m")
    library = load(build_host_library(compiled, tmp_path))
    samples = random_samples(compiled, 4, seed=2)
    assert [run(library, sample) for sample in samples] == reference(model, samples)
