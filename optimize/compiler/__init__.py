"""Ahead-of-time compiler: an int8 ``.tflite`` model to C99 with a static memory plan, no heap and no interpreter.

    read (reader, operators) -> Graph -> passes (one file each) -> layout (arena plan) -> emit (model.c, model.h)

``verify`` holds the graph legal between any two steps. The C kernels are in ``firmware/src/nn``; outputs equal those of
the TensorFlow Lite Micro interpreter byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimize.compiler.cores import CORES, PORTABLE, find_core
from optimize.compiler.emit import emit_model
from optimize.compiler.host import build_host_library
from optimize.compiler.ir import Graph
from optimize.compiler.kernels import Kernel
from optimize.compiler.layout import plan_layout
from optimize.compiler.passes import run_passes
from optimize.compiler.reader import read_tflite
from optimize.compiler.steps import MemoryBlock, StepFacts, memory_of, steps_of

__all__ = ["CORES", "CompiledModel", "MemoryBlock", "StepFacts", "TensorSpec", "build_host_library", "compile_tflite"]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output: real = scale * (stored - zero_point); tensors without a scale have 1 and zero point 0."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    arena_offset: int
    bytes: int


@dataclass(frozen=True, slots=True)
class CompiledModel:
    """Generated C and what a user of it must know.

    ``files`` maps "model.c" and "model.h" to their bytes, the same for the same model and name. ``weight_bytes`` counts
    the constants in flash. ``operators`` are the model file's operators that run, in order; a reshape runs nothing.
    ``kernel_sources`` are the C and assembly files to link, relative to ``firmware/``. The first ``state_bytes`` of the
    ``arena_bytes`` keep their content between invocations (0: the model remembers nothing). ``steps`` and ``memory``
    say what runs and what lies where meanwhile.
    """

    files: dict[str, bytes]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    arena_bytes: int
    weight_bytes: int
    operators: tuple[str, ...]
    kernel_sources: tuple[str, ...]
    state_bytes: int = 0
    steps: tuple[StepFacts, ...] = ()
    memory: tuple[MemoryBlock, ...] = ()


def compile_tflite(model: bytes, *, name: str, core: str = PORTABLE.name) -> CompiledModel:
    """Compile the bytes of a ``.tflite`` file; ``name`` appears in the generated comments.

    ``core`` (a key of ``CORES``) says which kernels may be used; the outputs are the same bytes on every core.

    Raises:
        UnknownCore: there is no such core.
        InvalidModel: the bytes are no usable model.
        UnsupportedOperator: the model needs something the compiler has no code for; the message names the operator.
    """
    source = read_tflite(model)
    graph = run_passes(source, find_core(core))
    layout = plan_layout(graph)
    offsets = layout.offsets()
    return CompiledModel(
        files=emit_model(graph, layout, name),
        inputs=tuple(_spec(graph, offsets, index) for index in graph.inputs),
        outputs=tuple(_spec(graph, offsets, index) for index in graph.outputs),
        arena_bytes=layout.arena_bytes,
        weight_bytes=_weight_bytes(graph),
        operators=tuple(op.name for op in graph.ops),
        kernel_sources=_kernel_sources(graph),
        state_bytes=layout.state_bytes,
        steps=steps_of(source, graph),
        memory=memory_of(graph, layout),
    )


def _spec(graph: Graph, offsets: dict[int, int], index: int) -> TensorSpec:
    tensor = graph.tensors[index]
    scale, zero_point = 1.0, 0
    if tensor.quant is not None and tensor.dtype in ("int8", "uint8", "int16", "int32"):
        scale, zero_point = tensor.quant.scales[0], tensor.quant.zero_points[0]
    offset = offsets[graph.storage(index)]
    return TensorSpec(tensor.name, tensor.shape, tensor.dtype, scale, zero_point, offset, tensor.bytes)


def _kernel_sources(graph: Graph) -> tuple[str, ...]:
    """The files to link, each once."""
    calls = (op.payload for op in graph.ops)
    return tuple(sorted({source for call in calls if isinstance(call, Kernel) for source in call.sources}))


def _weight_bytes(graph: Graph) -> int:
    """Bytes of all constants: weights, biases, multipliers, shifts, tables, constant operands."""
    calls = sum(op.payload.constant_bytes for op in graph.ops if isinstance(op.payload, Kernel))
    owners = {graph.storage(i) for op in graph.ops for i in op.inputs}
    return calls + sum(len(graph.tensors[owner].data or b"") for owner in owners)
