"""Networks for windows of inertial samples: input (steps, 1, axes), the time axis lies along the height."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def conv(
    shape: tuple[int, int, int], classes: int, filters: Sequence[int], strides: Sequence[int], kernel: int
) -> keras.Model:
    """Plain convolutions over time, mean over time, softmax.

    The first one is not padded, so that the inputs' normalization can be folded into it exactly.
    """
    from keras import Input, layers

    inputs = Input(shape, name="samples")
    x = inputs
    for index, (width, stride) in enumerate(zip(filters, strides, strict=True)):
        padding = "same" if index else "valid"
        x = layers.Conv2D(
            width, (kernel, 1), strides=(stride, 1), padding=padding, activation="relu", name=f"conv_{index}"
        )(x)
    return _head(inputs, x, classes)


def separable(
    shape: tuple[int, int, int],
    classes: int,
    filters: Sequence[int],
    strides: Sequence[int],
    kernel: int,
    stem_kernel: int,
) -> keras.Model:
    """A convolution, then depthwise-separable ones (Howard et al., MobileNets, 2017), mean over time, softmax.

    A depthwise stride acts on both axes; along the width of one sample it changes nothing.
    """
    from keras import Input, layers

    inputs = Input(shape, name="samples")
    stem = layers.Conv2D(filters[0], (stem_kernel, 1), strides=(strides[0], 1), activation="relu", name="stem")
    x = stem(inputs)
    for index, (width, stride) in enumerate(zip(filters[1:], strides[1:], strict=True), start=1):
        x = layers.DepthwiseConv2D((kernel, 1), strides=stride, padding="same", name=f"depthwise_{index}")(x)
        x = layers.Conv2D(width, 1, activation="relu", name=f"pointwise_{index}")(x)
    return _head(inputs, x, classes)


def _head(inputs: keras.KerasTensor, features: keras.KerasTensor, classes: int) -> keras.Model:
    import keras
    from keras import layers

    x = layers.AveragePooling2D((features.shape[1], 1), name="mean_over_time")(features)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", name="activity")(x))


ARCHITECTURES = {"conv": conv, "separable": separable}
