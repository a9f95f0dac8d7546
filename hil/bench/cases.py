"""Cases for a model without data: seeded inputs, and what a reference runtime gives for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flota.bundle import TensorSignature
from flota.runtimes import Runtime
from hil.bench.run import Case


def random_cases(reference: Runtime, inputs: Sequence[TensorSignature], *, seed: int, count: int) -> tuple[Case, ...]:
    """``count`` cases; the same arguments give the same ones.

    The first three are the corners: every value the smallest, the largest, and the one that stands for zero. The rest
    is uniform over the type's range (standard normal for float32). An int32 without a scale is an index or a count:
    0 or 1, as anything larger may lie outside the model's tables.

    Raises:
        RuntimeFailure: The reference cannot run one of them.
        ValueError: ``count`` is less than 1.
    """
    if count < 1:
        raise ValueError("at least one case is needed")
    generator = np.random.default_rng(seed)
    corners = [b"".join(_corner(tensor, which) for tensor in inputs) for which in range(3)]
    drawn = (b"".join(_drawn(tensor, generator) for tensor in inputs) for _ in range(max(count - len(corners), 0)))
    return tuple(_case(reference, data) for data in [*corners[:count], *drawn])


def _case(reference: Runtime, inputs: bytes) -> Case:
    reference.reset()
    return Case(inputs=inputs, expected=reference.infer(inputs))


def _corner(tensor: TensorSignature, which: int) -> bytes:
    if tensor.dtype == "float32":
        return np.full(tensor.shape, (-1.0, 1.0, 0.0)[which], np.float32).tobytes()
    return np.full(tensor.shape, (*_limits(tensor), tensor.zero_point or 0)[which], tensor.dtype).tobytes()


def _drawn(tensor: TensorSignature, generator: np.random.Generator) -> bytes:
    if tensor.dtype == "float32":
        return generator.standard_normal(tensor.shape, dtype=np.float32).tobytes()
    return generator.integers(*_limits(tensor), tensor.shape, tensor.dtype, endpoint=True).tobytes()


def _limits(tensor: TensorSignature) -> tuple[int, int]:
    if tensor.dtype == "int32" and not tensor.scale:
        return 0, 1
    limits = np.iinfo(tensor.dtype)
    return limits.min, limits.max
