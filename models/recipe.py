"""Recipes: what a model of the zoo is made from, as ``recipe.toml`` says it.

A recipe has one data set and several versions; each version names an architecture of the model's ``network.py`` with
its hyper-parameters and how it is trained. The digest of a version covers everything that shapes the weights.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flota.bundle import parse_version
from flota.files import sha256_file
from flota.workspace import Gates
from models.errors import InvalidRecipe, UnknownModel

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ZOO = Path(__file__).parent
RECIPE_FILE = "recipe.toml"
NETWORK_MODULE = "network.py"
TRAINING_MODULES = ("preparation.py", "training.py")

HyperParameter = int | float | tuple[int, ...]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataRecipe(_Frozen):
    """Which data set, and how a case becomes the network's input (height = steps, width, channels)."""

    source: str
    steps: int = Field(gt=0)
    padding: Literal["none", "zeros"] = "none"
    features: tuple[str, ...]
    units: str
    validation: float = Field(gt=0, lt=1)


class Augmentation(_Frozen):
    """Changed copies of every training case, added once before training.

    ``noise`` and the spread of ``scale`` are in standard deviations of a channel, ``shift`` in steps (circular).
    """

    copies: int = Field(default=0, ge=0, le=100)
    noise: float = Field(default=0.0, ge=0)
    scale: float = Field(default=0.0, ge=0, lt=1)
    shift: int = Field(default=0, ge=0)


class Training(_Frozen):
    """How the weights are found: Adam, cosine decay to zero, the epoch with the lowest validation loss is kept."""

    epochs: int = Field(gt=0, le=10_000)
    batch_size: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    augmentation: Augmentation = Augmentation()


class VersionRecipe(_Frozen):
    """One version: architecture, hyper-parameters, training, and gates where they differ from the model's."""

    description: str
    architecture: str
    network: dict[str, HyperParameter]
    training: Training
    gates: Gates | None = None


class Recipe(_Frozen):
    """A whole ``recipe.toml``."""

    name: str
    title: str
    default_version: str
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    data: DataRecipe
    gates: Gates
    versions: dict[str, VersionRecipe]

    def version(self, version: str | None) -> tuple[str, VersionRecipe]:
        """The version asked for, or the default one.

        Raises:
            UnknownModel: The recipe has no such version.
        """
        wanted = version or self.default_version
        if wanted not in self.versions:
            known = ", ".join(sorted(self.versions, key=parse_version))
            raise UnknownModel(f"{self.name} has no version {wanted!r}", hint=f"versions in its recipe: {known}")
        return wanted, self.versions[wanted]


def available_models(zoo: Path = ZOO) -> tuple[str, ...]:
    """Names of the models that have a recipe, sorted."""
    return tuple(sorted(path.parent.name for path in zoo.glob(f"*/{RECIPE_FILE}")))


def load_recipe(name: str, zoo: Path = ZOO) -> Recipe:
    """Read the recipe of model ``name``.

    Raises:
        UnknownModel: There is no such model; the hint lists those there are.
        InvalidRecipe: The recipe is not TOML, or a value in it is wrong.
    """
    if name not in available_models(zoo):
        raise UnknownModel(f"no model is called {name!r}", hint=f"known models: {', '.join(available_models(zoo))}")
    path = zoo / name / RECIPE_FILE
    try:
        recipe = Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidRecipe(f"{path.name} of {name}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRecipe(f"{path.name} of {name}: {where}: {first['msg']}") from error
    _check(recipe, name)
    return recipe


def _check(recipe: Recipe, name: str) -> None:
    if recipe.name != name:
        raise InvalidRecipe(f"{RECIPE_FILE} in {name}/ calls the model {recipe.name!r}")
    try:
        for version in recipe.versions:
            parse_version(version)
    except ValueError as error:
        raise InvalidRecipe(f"{RECIPE_FILE} of {name}: {error}") from error
    if recipe.default_version not in recipe.versions:
        raise InvalidRecipe(f"{RECIPE_FILE} of {name}: default_version {recipe.default_version} is not there")


def config_digest(recipe: Recipe, version: str, seed: int, dataset_sha256: str, zoo: Path = ZOO) -> str:
    """SHA-256 over everything that shapes a version's weights: its recipe, the code, the data, the seed."""
    code = [zoo / recipe.name / NETWORK_MODULE, *(Path(__file__).parent / module for module in TRAINING_MODULES)]
    chosen = recipe.versions[version]
    parts: Mapping[str, object] = {
        "data": recipe.data.model_dump(mode="json"),
        "gates": (chosen.gates or recipe.gates).model_dump(mode="json"),
        "version": chosen.model_dump(mode="json"),
        "seed": seed,
        "dataset": dataset_sha256,
        "code": [sha256_file(path) for path in code],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
