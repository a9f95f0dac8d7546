"""A Keras model of random weights as a full-int8 ``.tflite``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from flota.keras_backend import load_keras
from flota.native import captured_stderr

SEED = 1
SAMPLES = 4
"""Of normally distributed inputs, from which activations get their ranges."""
BATCH = 8
"""Inputs from which batch normalisation gets its statistics."""


def quantize(name: str) -> bytes:
    """The architecture ``name`` of ``ARCHITECTURES``, from fixed seeds; inputs and outputs are int8."""
    from benchmarks.untuned.architectures import ARCHITECTURES

    keras = load_keras()
    keras.utils.set_random_seed(SEED)
    model, rng = ARCHITECTURES[name](keras), np.random.default_rng(SEED)
    _normalise(keras, model, rng)
    with captured_stderr():
        return _convert(model, rng)


def _normalise(keras: Any, model: Any, rng: np.random.Generator) -> None:
    """Sets the statistics of batch normalisation to those of one batch."""
    found = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in found:
        layer.momentum = 0.0
    if found:
        model(_inputs(model, rng, BATCH), training=True)


def _inputs(model: Any, rng: np.random.Generator, count: int) -> np.ndarray[Any, Any]:
    return rng.normal(0, 1, (count, *model.inputs[0].shape[1:])).astype(np.float32)


def _convert(model: Any, rng: np.random.Generator) -> bytes:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    def data() -> Iterator[list[np.ndarray[Any, Any]]]:
        for _ in range(SAMPLES):
            yield [_inputs(model, rng, 1)]

    shape = (1, *model.inputs[0].shape[1:])
    call = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec(shape, tf.float32)])
    frozen = convert_variables_to_constants_v2(call.get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = data
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())
