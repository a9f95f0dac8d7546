"""Small networks of the kinds that people put on microcontrollers, by name; Keras models with random weights.

The instructions of an int8 network do not depend on what it has learnt, but a network of untrained weights lets its
activations fade. So those that are deep have batch normalisation, whose statistics ``quantize`` sets from its data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Keras = Any
"""The ``keras`` module."""


def mobilenet_v1(keras: Keras) -> Any:
    """MobileNet 0.25 on 96x96 pixels."""
    return keras.applications.MobileNet(input_shape=(96, 96, 3), alpha=0.25, weights=None, classes=10)


def mobilenet_v2(keras: Keras) -> Any:
    """MobileNetV2 0.35 on 96x96 pixels."""
    return keras.applications.MobileNetV2(input_shape=(96, 96, 3), alpha=0.35, weights=None, classes=10)


def mobilenet_v3(keras: Keras) -> Any:
    """MobileNetV3 small 0.75 on 96x96 pixels: hard swish, squeeze and excite, 5x5 windows."""
    return keras.applications.MobileNetV3Small(
        input_shape=(96, 96, 3), alpha=0.75, weights=None, classes=10, include_preprocessing=False
    )


def mcunet(keras: Keras) -> Any:
    """Inverted residuals with 5x5 and 7x7 windows, as MCUNet has them (https://arxiv.org/abs/2007.10319)."""
    layers = keras.layers
    image = keras.Input((48, 48, 3))
    x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(16, 3, 2, "same")(image)))
    for expand, channels, window, stride in (
        (3, 16, 5, 1),
        (4, 24, 7, 2),
        (4, 24, 5, 1),
        (5, 40, 7, 2),
        (4, 40, 5, 1),
        (5, 48, 5, 1),
        (5, 96, 7, 2),
        (4, 96, 3, 1),
    ):
        y = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(x.shape[-1] * expand, 1)(x)))
        y = layers.ReLU(6.0)(layers.BatchNormalization()(layers.DepthwiseConv2D(window, stride, "same")(y)))
        y = layers.BatchNormalization()(layers.Conv2D(channels, 1)(y))
        x = layers.Add()([x, y]) if stride == 1 and channels == x.shape[-1] else y
    return keras.Model(image, layers.Dense(10, "softmax")(layers.GlobalAveragePooling2D()(x)))


def squeezenet(keras: Keras) -> Any:
    """Fire modules: two convolutions of one tensor, concatenated."""
    layers = keras.layers
    image = keras.Input((48, 48, 3))
    x = layers.MaxPool2D(3, 2)(layers.Conv2D(16, 3, 2, activation="relu")(image))
    for squeeze, expand in ((4, 8), (4, 16), (8, 24)):
        narrow = layers.Conv2D(squeeze, 1, activation="relu")(x)
        sides = [layers.Conv2D(expand, size, padding="same", activation="relu")(narrow) for size in (1, 3)]
        x = layers.Concatenate()(sides)
    return keras.Model(image, layers.Softmax()(layers.GlobalAveragePooling2D()(layers.Conv2D(5, 1)(x))))


def unet(keras: Keras) -> Any:
    """Segmentation: transposed convolutions, concatenations over levels, a softmax of every pixel."""
    layers = keras.layers

    def conv(filters: int, x: Any) -> Any:
        return layers.Conv2D(filters, 3, padding="same", activation="relu")(x)

    image = keras.Input((32, 32, 1))
    top = conv(8, image)
    middle = conv(16, layers.MaxPool2D()(top))
    bottom = conv(32, layers.MaxPool2D()(middle))
    up = conv(16, layers.Concatenate()([middle, layers.Conv2DTranspose(16, 2, 2)(bottom)]))
    up = conv(8, layers.Concatenate()([top, layers.Conv2DTranspose(8, 3, 2, "same")(up)]))
    return keras.Model(image, layers.Conv2D(2, 1, activation="softmax")(up))


def conv1d(keras: Keras) -> Any:
    """Gestures from an accelerometer: causal, dilated and depthwise separable windows over time."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((128, 6)),
            layers.Conv1D(16, 9, padding="causal", activation="relu"),
            layers.SeparableConv1D(24, 9, strides=2, activation="relu"),
            layers.Conv1D(24, 5, dilation_rate=2, padding="causal", activation="relu"),
            layers.MaxPool1D(2),
            layers.Conv1D(32, 3, activation="relu"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(6, activation="softmax"),
        ]
    )


def tcn(keras: Keras) -> Any:
    """A temporal convolution network with dilations of 1 to 8 on raw sound."""
    layers = keras.layers
    stack = [keras.Input((512, 1)), layers.Conv1D(8, 16, strides=4, activation="relu")]
    for dilation in (1, 2, 4, 8):
        stack += [layers.Conv1D(8, 3, dilation_rate=dilation, padding="same"), layers.ReLU()]
    return keras.Sequential([*stack, layers.GlobalMaxPooling1D(), layers.Dense(2, activation="softmax")])


def rnn(keras: Keras) -> Any:
    """A plain recurrent layer, unrolled over 16 steps."""
    layers = keras.layers
    return keras.Sequential([keras.Input((16, 8)), layers.SimpleRNN(12, unroll=True), layers.Dense(4)])


def transformer(keras: Keras) -> Any:
    """Two encoder blocks of two heads over 16 tokens."""
    layers = keras.layers
    tokens = keras.Input((16, 24))
    x = tokens
    for _ in range(2):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(2, 8)(y, y)])
        y = layers.Dense(48, activation="relu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(24)(y)])
    return keras.Model(tokens, layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling1D()(x)))


ARCHITECTURES: dict[str, Callable[[Keras], Any]] = {
    build.__name__: build
    for build in (
        mobilenet_v1,
        mobilenet_v2,
        mobilenet_v3,
        mcunet,
        squeezenet,
        unet,
        conv1d,
        tcn,
        rnn,
        transformer,
    )
}
"""Name -> what builds it."""
