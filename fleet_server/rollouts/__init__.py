"""Rollouts in waves: what may happen (state), what shall happen (engine), and making it happen (store, runner)."""
