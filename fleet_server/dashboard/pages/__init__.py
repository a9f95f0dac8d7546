"""The pages, one module each: a ``register(context)`` that adds its routes."""
