"""What a ``.tflite`` file says about itself: its tensors, its operators and the work of one inference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from flota.bundle import TensorSignature
from optimize.compiler.ir import Graph
from optimize.compiler.reader import read_tflite
from optimize.compiler.work import multiply_accumulates
from optimize.errors import InvalidModel

_DTYPES = get_args(TensorSignature.model_fields["dtype"].annotation)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """``operators`` are the distinct ones in the order they first run; ``macs`` counts multiply-accumulates."""

    inputs: tuple[TensorSignature, ...]
    outputs: tuple[TensorSignature, ...]
    operators: tuple[str, ...]
    macs: int


def read_facts(model: bytes) -> ModelFacts:
    """Read the facts of a ``.tflite`` file.

    Raises:
        InvalidModel: The bytes are truncated, garbled, or no int8 model.
    """
    graph = read_tflite(model)
    return ModelFacts(
        inputs=tuple(_signature(graph, index) for index in graph.inputs),
        outputs=tuple(_signature(graph, index) for index in graph.outputs),
        operators=tuple(dict.fromkeys(op.name for op in graph.ops)),
        macs=sum(multiply_accumulates(graph, op) for op in graph.ops),
    )


def _signature(graph: Graph, index: int) -> TensorSignature:
    tensor = graph.tensors[index]
    if tensor.dtype not in _DTYPES:
        raise InvalidModel(f"tensor {tensor.name!r} is {tensor.dtype}", hint=f"known: {', '.join(_DTYPES)}")
    scale = tensor.quant.scales[0] if tensor.quant else None
    zero_point = tensor.quant.zero_points[0] if tensor.quant else None
    return TensorSignature.model_validate(
        {"name": tensor.name, "shape": tensor.shape, "dtype": tensor.dtype, "scale": scale, "zero_point": zero_point}
    )
