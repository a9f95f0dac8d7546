"""Kernel calls that make larger images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optimize.compiler.kernels import Image, Kernel, Requantize, Window, weighted_bytes


@dataclass(frozen=True, slots=True)
class TransposeConvCall(Kernel):
    """Weights [out_c][kh][kw][in_c]; the window slides over the output, so its ``pad`` is cut from that."""

    SOURCE: ClassVar[str] = "src/nn/transpose_conv.c"
    input: Image
    output: Image
    window: Window
    input_offset: int
    requantize: Requantize
    weights: bytes
    bias: tuple[int, ...] | None

    @property
    def constant_bytes(self) -> int:
        """Bytes in flash."""
        return weighted_bytes(self)


@dataclass(frozen=True, slots=True)
class ResizeBilinearCall(Kernel):
    """Output row y lies at input row (y * scales[0] + offsets[0]) / 1024; columns likewise."""

    SOURCE: ClassVar[str] = "src/nn/resize_bilinear.c"
    input: Image
    output: Image
    scales: tuple[int, int]
    offsets: tuple[int, int]
