"""Small real bundles for the agent's tests: int8 LiteRT models made with the flatbuffers schema, in milliseconds.

A model is a chain of fully connected layers with weights from a seed; its golden outputs are the real interpreter's.
``width`` and ``layers`` make it as slow as a test wants. Imports nothing that is heavy, so that a child process starts
quickly.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from flota import bundle
from flota.bundle import Accuracy, GoldenVectors, Manifest, Provenance, Requirements, TensorSignature
from flota.files import sha256_hex
from flota.runtimes.litert import LiteRtRuntime

MODEL = "motion"
SCALE, ZERO_POINT = 0.05, 3
CASES = 4


@cache
def tflite(seed: int, *, width: int = 16, layers: int = 1) -> bytes:
    """An int8 model [1, width] → [1, width]."""
    random = np.random.default_rng(seed)
    graph, model = schema.SubGraphT(), schema.ModelT()
    model.buffers = [_buffer(None)]
    graph.tensors = [_tensor(b"input", [1, width], schema.TensorType.INT8, 0, SCALE, ZERO_POINT)]
    graph.operators = []
    for layer in range(layers):
        weights = random.integers(-127, 128, (width, width)).astype(np.int8)
        model.buffers += [_buffer(weights.tobytes()), _buffer(np.zeros(width, np.int32).tobytes())]
        scale = 1 / (127 * np.sqrt(width))
        first = len(graph.tensors)
        graph.tensors += [
            _tensor(b"weights", [width, width], schema.TensorType.INT8, len(model.buffers) - 2, scale, 0),
            _tensor(b"bias", [width], schema.TensorType.INT32, len(model.buffers) - 1, SCALE * scale, 0),
            _tensor(b"output", [1, width], schema.TensorType.INT8, 0, SCALE, ZERO_POINT),
        ]
        graph.operators.append(_fully_connected([0 if layer == 0 else first - 1, first, first + 1], first + 2))
    graph.inputs, graph.outputs = [0], [len(graph.tensors) - 1]
    model.version, model.subgraphs, model.operatorCodes = 3, [graph], [_code()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def signature(name: str, width: int) -> TensorSignature:
    return TensorSignature(name=name, shape=(1, width), dtype="int8", scale=SCALE, zero_point=ZERO_POINT)


def make_bundle(
    folder: Path,
    version: str,
    *,
    seed: int = 1,
    width: int = 16,
    layers: int = 1,
    target: str = "linux-litert",
    wrong_golden: bool = False,
    payload: bytes | None = None,
    security_floor: int = 0,
) -> Path:
    """Write one bundle; ``payload`` replaces the model (golden vectors stay those of the real one)."""
    model = tflite(seed, width=width, layers=layers)
    inputs, outputs = (signature("input", width),), (signature("output", width),)
    runtime = LiteRtRuntime(model, inputs, outputs)
    cases = [np.random.default_rng(i).integers(-128, 128, width).astype(np.int8).tobytes() for i in range(CASES)]
    golden = [runtime.infer(case) for case in cases]
    if wrong_golden:
        golden[-1] = bytes(byte ^ 1 for byte in golden[-1])
    files = {
        "model.tflite": model if payload is None else payload,
        "golden/inputs.bin": b"".join(cases),
        "golden/outputs.bin": b"".join(golden),
    }
    manifest = Manifest(
        model=MODEL,
        version=version,
        target=target,
        security_floor=security_floor,
        payload="model.tflite",
        files=bundle.file_entries(files),
        inputs=inputs,
        outputs=outputs,
        golden=GoldenVectors(count=CASES, inputs="golden/inputs.bin", outputs="golden/outputs.bin"),
        requires=Requirements(runtime="litert"),
        accuracy=Accuracy(
            metric="accuracy",
            value=1,
            low=1,
            high=1,
            float_value=1,
            count=CASES,
            dataset="test",
            dataset_sha256=sha256_hex(b"test"),
        ),
        provenance=Provenance(
            source_sha256=sha256_hex(b"s"), config_sha256=sha256_hex(b"c"), git_commit="", seed=seed, tools={}
        ),
    )
    return bundle.write(folder, manifest, files)


def _buffer(data: bytes | None) -> schema.BufferT:
    buffer = schema.BufferT()
    buffer.data = None if data is None else np.frombuffer(data, np.uint8)
    return buffer


def _tensor(name: bytes, shape: list[int], kind: int, buffer: int, scale: float, zero_point: int) -> schema.TensorT:
    tensor, quantization = schema.TensorT(), schema.QuantizationParametersT()
    quantization.scale, quantization.zeroPoint = [float(scale)], [zero_point]
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, shape, kind, buffer
    tensor.quantization = quantization
    return tensor


def _fully_connected(inputs: list[int], output: int) -> schema.OperatorT:
    operator, options = schema.OperatorT(), schema.FullyConnectedOptionsT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, inputs, [output]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = options
    return operator


def _code() -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 4
    return code
