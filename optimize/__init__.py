"""From a trained model to bundles: quantize, compile, evaluate, gate.

``optimize.run(name, version, workspace)`` does all of it; ``optimize.compiler`` is the ahead-of-time compiler.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optimize.pipeline import OptimizeResult, run

__all__ = ["OptimizeResult", "run"]


def __getattr__(name: str) -> Any:
    """Load the pipeline on use: the compiler below this package needs none of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from optimize import pipeline

    return getattr(pipeline, name)
