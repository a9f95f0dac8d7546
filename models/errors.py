"""Every error the model zoo raises on purpose."""

from __future__ import annotations

from flota.errors import FlotaError


class ModelsError(FlotaError):
    """Base of all errors of the ``models`` folder."""

    code = "models.error"


class UnknownModel(ModelsError):
    """There is no model, or no version of it, under that name."""

    code = "models.unknown"
    exit_code = 2


class InvalidRecipe(ModelsError):
    """A ``recipe.toml`` is missing, not TOML, or says something that cannot be."""

    code = "models.invalid-recipe"


class DatasetError(ModelsError):
    """The files of a data set are missing, garbled or not the ones the recipe was written for."""

    code = "models.dataset"


class TrainingFailed(ModelsError):
    """Training ran and did not give a usable network."""

    code = "models.training-failed"
