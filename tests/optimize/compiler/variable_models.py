"""Small models with resource variables: a main subgraph, and one that initialises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s
from tflite_builder import Builder, options

SHAPE = (1, 4)


class Variables:
    """Builds the main subgraph; ``init`` holds the initial value of variables that CALL_ONCE sets."""

    def __init__(self) -> None:
        self.b = Builder()
        self.init: dict[str, np.ndarray[Any, Any]] = {}
        self.x = self.tensor()

    def tensor(self, shape: Sequence[int] = SHAPE) -> int:
        return self.b.tensor(shape, scale=0.5, zero_point=3)

    def call_once(self, subgraph: int = 1) -> None:
        self.b.op("CALL_ONCE", [], [], options("CallOnceOptions", initSubgraphIndex=subgraph))

    def handle(self, name: str) -> int:
        return handle(self.b, name)

    def read(self, variable: int, shape: Sequence[int] = SHAPE) -> int:
        return self.b.op("READ_VARIABLE", [variable], self.tensor(shape), options("ReadVariableOptions"))

    def assign(self, variable: int, value: int) -> None:
        self.b.op("ASSIGN_VARIABLE", [variable, value], [], options("AssignVariableOptions"))

    def add(self, left: int, right: int) -> int:
        return self.b.op("ADD", [left, right], self.tensor(), options("AddOptions"))

    def relu(self, value: int) -> int:
        return self.b.op("RELU", [value], self.tensor())

    def build(self, *outputs: int) -> bytes:
        main = s.ModelT.InitFromObj(s.Model.GetRootAs(self.b.build([self.x], outputs), 0))
        if self.init:
            self._add_init(main)
        return pack(main)

    def _add_init(self, main: Any) -> None:
        """A second subgraph that assigns the initial values; it shares codes and buffers with the first."""
        second = Builder()
        second.codes, second.buffers = self.b.codes, self.b.buffers
        for name, data in self.init.items():
            value = second.tensor(data.shape, scale=0.5, zero_point=3, data=data)
            second.op("ASSIGN_VARIABLE", [handle(second, name), value], [], options("AssignVariableOptions"))
        both = s.ModelT.InitFromObj(s.Model.GetRootAs(second.build([], []), 0))
        main.subgraphs.append(both.subgraphs[0])
        main.buffers, main.operatorCodes = both.buffers, both.operatorCodes


def handle(builder: Builder, name: str) -> int:
    tensor = s.TensorT()
    tensor.name, tensor.shape, tensor.type = name, [], s.TensorType.RESOURCE
    builder.tensors.append(tensor)
    table = options("VarHandleOptions", sharedName=name, container="")
    return builder.op("VAR_HANDLE", [], len(builder.tensors) - 1, table)


def pack(model: Any) -> bytes:
    packer = flatbuffers.Builder(1024)
    packer.Finish(model.Pack(packer), b"TFL3")
    return bytes(packer.Output())


def counter(initial: Sequence[int] | None = None) -> bytes:
    """Adds every input to a sum and gives that; ``initial`` is what the sum starts with, else its zero point."""
    m = Variables()
    if initial is not None:
        m.init["sum"] = np.array([initial], np.int8)
        m.call_once()
    total = m.handle("sum")
    result = m.add(m.read(total), m.x)
    m.assign(total, result)
    return m.build(m.relu(result))
