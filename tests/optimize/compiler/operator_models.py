"""Small models of single operators, and the check that they give the interpreter's bytes under the sanitizers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from host_models import Kernels, random_samples, reference, run_sanitized
from tflite_builder import Builder, options

from optimize.compiler import compile_tflite

SAMPLES = 5


def check(kernels: Kernels, models: Sequence[bytes], core: str = "portable") -> None:
    """Compile ``models`` for ``core``, run them on extremes and random data, compare with the interpreter."""
    compiled = [compile_tflite(model, name="operator", core=core) for model in models]
    samples = [random_samples(item, SAMPLES, seed) for seed, item in enumerate(compiled)]
    outputs = run_sanitized(kernels, compiled, samples, f"batch{len(list(kernels.folder.iterdir()))}")
    for number, (model, item, sample, actual) in enumerate(zip(models, compiled, samples, outputs, strict=True)):
        assert actual == reference(model, sample), (number, item.operators)


class One:
    """A model of one operator: ``x`` is its graph input; further operands are added before ``model``."""

    def __init__(self, shape: Sequence[int], *, scale: float = 0.1, zero_point: int = 3, dtype: str = "int8") -> None:
        self.b = Builder()
        self.scale, self.zero_point, self.dtype = scale, zero_point, dtype
        self.x = self.tensor(shape)

    def tensor(self, shape: Sequence[int], **quant: Any) -> int:
        if self.dtype != "int8":
            return self.b.tensor(shape, self.dtype)
        return self.b.tensor(shape, **({"scale": self.scale, "zero_point": self.zero_point} | quant))

    def ints(self, *values: int, shape: Sequence[int] | None = None) -> int:
        return self.b.constant(values, shape)

    def model(
        self,
        name: str,
        outputs: Sequence[Sequence[int]],
        *operands: int,
        table: tuple[str, dict[str, Any]] | None = None,
        inputs: Sequence[int] | None = None,
        **quant: Any,
    ) -> bytes:
        results = [self.tensor(shape, **quant) for shape in outputs]
        made = None if table is None else options(table[0], **table[1])
        self.b.op(name, operands or [self.x], results, made)
        return self.b.build([self.x] if inputs is None else inputs, results)


def float32(value: float) -> float:
    return float(np.float32(value))
