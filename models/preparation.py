"""Between the data set and the network: normalization, changed copies, and folding the former into the weights.

A network is trained on normalized inputs (zero mean, unit variance per channel), but what leaves the zoo takes
physical units: the normalization is folded into the first convolution, so that a device feeds what its sensor reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.datasets import FloatArray, Split
from models.errors import InvalidRecipe
from models.recipe import Augmentation

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, slots=True)
class Normalization:
    """Mean and standard deviation of every channel, float64 (channels,)."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def of(cls, x: FloatArray) -> Normalization:
        """Measured over all cases, rows and columns of ``x``; a channel that never changes keeps its scale."""
        values = x.astype(np.float64)
        std = values.std(axis=(0, 1, 2))
        return cls(values.mean(axis=(0, 1, 2)), np.where(std > 0, std, 1.0))

    def apply(self, x: FloatArray) -> FloatArray:
        """``(x - mean) / std`` in float32."""
        return ((x - self.mean) / self.std).astype(np.float32)


def augment(split: Split, how: Augmentation, seed: int) -> Split:
    """The normalized cases and ``how.copies`` changed copies of each, chosen by ``seed``."""
    random = np.random.default_rng(seed)
    copies = [split.x]
    for _ in range(how.copies):
        copies.append(_changed(split.x, how, random))
    return Split(np.concatenate(copies), np.tile(split.y, how.copies + 1))


def _changed(x: FloatArray, how: Augmentation, random: np.random.Generator) -> FloatArray:
    cases, _, _, channels = x.shape
    shifts: list[int] = random.integers(-how.shift, how.shift, size=(cases,), endpoint=True).tolist()
    shifted = np.stack([np.roll(x[index], shift, axis=0) for index, shift in enumerate(shifts)])
    scale = random.uniform(1 - how.scale, 1 + how.scale, (cases, 1, 1, channels))
    return (shifted * scale + random.normal(0.0, how.noise, x.shape)).astype(np.float32)


def fold(model: keras.Model, normalization: Normalization) -> None:
    """Change the first convolution's weights so that the model takes inputs in physical units.

    ``w·(x - m)/s + b = (w/s)·x + (b - Σ w·m/s)``; exact because that convolution is not padded.

    Raises:
        InvalidRecipe: The first layer is not an unpadded convolution with a bias.
    """
    first = model.layers[1]
    if type(first).__name__ != "Conv2D" or first.padding != "valid" or not first.use_bias:
        raise InvalidRecipe(f"the first layer {first.name!r} must be an unpadded Conv2D with a bias")
    kernel, bias = (weights.astype(np.float64) for weights in first.get_weights())
    scaled = kernel / normalization.std[:, np.newaxis]
    offset = (scaled * normalization.mean[:, np.newaxis]).sum(axis=(0, 1, 2))
    first.set_weights([scaled.astype(np.float32), (bias - offset).astype(np.float32)])
