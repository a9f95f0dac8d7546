"""The parts of ``benchmarks/mcu_inference.py``: engines, reference, measurement, table, known models."""
