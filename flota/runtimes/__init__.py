"""Runtimes: one small protocol over everything that can run a bundle (LiteRT, TFLM, a board on a serial link)."""

from flota.runtimes.base import Runtime, RuntimeFailure, open_runtime

__all__ = ["Runtime", "RuntimeFailure", "open_runtime"]
