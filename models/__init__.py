"""The model zoo: a folder a model, with its recipe and model card.

``models.train(name, version, workspace)`` trains one; what it leaves there is described in ``flota/workspace.py``.
"""

from models.recipe import Recipe, available_models, load_recipe
from models.training import TrainResult, train

__all__ = ["Recipe", "TrainResult", "available_models", "load_recipe", "train"]
