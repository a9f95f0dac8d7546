"""A network for small grey images: input (8, 8, 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def conv(shape: tuple[int, int, int], classes: int, filters: Sequence[int], kernel: int, hidden: int) -> keras.Model:
    """Convolutions, the last one followed by 2×2 max pooling, a hidden dense layer, softmax.

    The first one is not padded, so that the inputs' normalization can be folded into it exactly.
    """
    import keras
    from keras import layers

    inputs = keras.Input(shape, name="image")
    x = inputs
    for index, width in enumerate(filters):
        padding = "same" if index else "valid"
        x = layers.Conv2D(width, kernel, padding=padding, activation="relu", name=f"conv_{index}")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(hidden, activation="relu", name="hidden")(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", name="digit")(x))


ARCHITECTURES = {"conv": conv}
