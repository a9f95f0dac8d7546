"""Networks for utterances as frames of coefficients: input (frames, 1, coefficients)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def conv(
    shape: tuple[int, int, int], classes: int, filters: Sequence[int], strides: Sequence[int], kernel: int
) -> keras.Model:
    """Convolutions over time, mean over time, softmax.

    The first one is not padded, so that the inputs' normalization can be folded into it exactly.
    """
    import keras
    from keras import layers

    inputs = keras.Input(shape, name="frames")
    x = inputs
    for index, (width, stride) in enumerate(zip(filters, strides, strict=True)):
        padding = "same" if index else "valid"
        x = layers.Conv2D(
            width, (kernel, 1), strides=(stride, 1), padding=padding, activation="relu", name=f"conv_{index}"
        )(x)
    x = layers.AveragePooling2D((x.shape[1], 1), name="mean_over_time")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", name="speaker")(x))


ARCHITECTURES = {"conv": conv}
