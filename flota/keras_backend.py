"""Keras on TensorFlow, loaded once, quietly, and made to give the same result on every run."""

from __future__ import annotations

import importlib.metadata
import logging
import os
from collections.abc import Sequence
from types import ModuleType

from flota.errors import MissingExtra
from flota.native import captured_stderr


def load_keras() -> ModuleType:
    """Keras on TensorFlow's CPU kernels in their deterministic form. The first call takes seconds.

    Raises:
        MissingExtra: TensorFlow is not installed.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    try:
        with captured_stderr():
            import keras
            import tensorflow as tf
    except ImportError as error:
        raise MissingExtra(f"TensorFlow cannot be loaded: {error}", hint="pip install 'flota[optimize]'") from error
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    tf.config.experimental.enable_op_determinism()
    return keras  # type: ignore[no-any-return]


def tool_versions(packages: Sequence[str]) -> dict[str, str]:
    """Version of each of ``packages`` (names as on PyPI), ``unknown`` for one that is not installed."""
    return {package: _version(package) for package in packages}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
