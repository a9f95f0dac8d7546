"""Benches: run a model on a board, check every output, report figures that say where they came from."""
