"""Architectures that the compiler was not tuned for, quantized to int8 with random weights."""
