"""Full-integer quantization: a float Keras network to an int8 ``.tflite`` file (int8 in, int8 out, per channel)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flota.bundle import TensorSignature
from flota.keras_backend import load_keras
from flota.native import captured_stderr
from optimize.errors import OptimizeError

MAX_CALIBRATION_CASES = 500


class QuantizationFailed(OptimizeError):
    """The network cannot be loaded or converted."""

    code = "optimize.quantization-failed"


def quantize_network(network: Path, calibration: NDArray[np.float32]) -> bytes:
    """Convert ``network`` (a ``.keras`` file) with the ranges seen on ``calibration`` (cases, height, width, channels).

    The same network and cases give the same bytes. Post-training quantization after Jacob et al. (2018), as
    TensorFlow's converter does it.

    Raises:
        QuantizationFailed: The file is no Keras network, or an operator has no int8 form.
    """
    load_keras()
    try:
        with captured_stderr(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _convert(network, calibration[:: -(-len(calibration) // MAX_CALIBRATION_CASES)])
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()
        raise QuantizationFailed(
            f"{network.name} cannot be quantized: {reason[0] if reason else type(error).__name__}",
            hint="train the model again",
        ) from error


def _convert(network: Path, calibration: NDArray[np.float32]) -> bytes:
    import keras
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    model = keras.models.load_model(network, compile=False)

    def infer(case: Any) -> Any:
        return model(case, training=False)

    one_case = tf.TensorSpec((1, *calibration.shape[1:]), tf.float32, name=model.inputs[0].name)
    frozen = convert_variables_to_constants_v2(tf.function(infer).get_concrete_function(one_case))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _batches(calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def _batches(calibration: NDArray[np.float32]) -> Iterator[list[NDArray[np.float32]]]:
    for index in range(len(calibration)):
        yield [calibration[index : index + 1]]


def to_input(cases: NDArray[np.float32], signature: TensorSignature) -> NDArray[np.int8]:
    """Cases in physical units as the quantized input: ``real / scale + zero_point``, half to even, saturated.

    Raises:
        QuantizationFailed: The input is not int8 with a scale.
    """
    if signature.dtype != "int8" or not signature.scale or signature.zero_point is None:
        raise QuantizationFailed(f"input {signature.name} is {signature.dtype}, int8 expected")
    stored = np.rint(cases / np.float32(signature.scale)) + signature.zero_point
    saturated: NDArray[np.int8] = np.clip(stored, -128, 127).astype(np.int8)
    return saturated
