from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from models.errors import InvalidRecipe, UnknownModel
from models.recipe import ZOO, available_models, config_digest, load_recipe


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    shutil.copytree(ZOO / "digits", tmp_path / "digits")
    return tmp_path


def rewrite(zoo: Path, old: str, new: str) -> None:
    path = zoo / "digits" / "recipe.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_zoo_has_its_three_models() -> None:
    assert available_models() == ("digits", "motion", "vowels")
    assert set(load_recipe("motion").versions) == {"1.0.0", "1.1.0", "1.2.0"}


def test_an_unknown_model_gets_the_list_of_known_ones() -> None:
    with pytest.raises(UnknownModel) as caught:
        load_recipe("moton")
    assert caught.value.exit_code == 2
    assert caught.value.hint == "known models: digits, motion, vowels"


@pytest.mark.parametrize("name", ["", "../models/motion", "motion/", "."])
def test_odd_names_are_unknown_models(name: str) -> None:
    with pytest.raises(UnknownModel):
        load_recipe(name)


def test_an_unknown_version_gets_the_list_of_known_ones() -> None:
    with pytest.raises(UnknownModel) as caught:
        load_recipe("motion").version("9.0.0")
    assert caught.value.hint.endswith("1.0.0, 1.1.0, 1.2.0")


def test_no_version_asked_for_is_the_default_one() -> None:
    assert load_recipe("motion").version(None)[0] == "1.0.0"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "digits"', 'name = "letters"', "calls the model 'letters'"),
        ("seed = 20", "seed = -1", "seed: "),
        ("seed = 20", "seed = = 20", "recipe.toml of digits: "),
        ("seed = 20", "sneed = 20", "seed: "),
        ("max_accuracy_loss = 0.02", "max_accuracy_loss = 2", "gates.max_accuracy_loss: "),
        ("epochs = 30", "epochs = 0", "epochs: "),
        ('default_version = "1.0.0"', 'default_version = "2.0.0"', "default_version 2.0.0 is not there"),
        ('[versions."1.0.0"]', '[versions."1.0"]', "MAJOR.MINOR.PATCH|Field required"),
    ],
)
def test_a_broken_recipe_says_where(zoo: Path, old: str, new: str, message: str) -> None:
    rewrite(zoo, old, new)
    with pytest.raises(InvalidRecipe) as caught:
        load_recipe("digits", zoo)
    assert re.search(message, caught.value.message)


def test_the_digest_sees_recipe_code_data_and_seed(zoo: Path) -> None:
    def digest(seed: int = 1, data: str = "0") -> str:
        return config_digest(load_recipe("digits", zoo), "1.0.0", seed, data, zoo)

    seen = [digest(), digest(seed=2), digest(data="1")]
    rewrite(zoo, "epochs = 30", "epochs = 31")
    seen.append(digest())
    network = zoo / "digits" / "network.py"
    network.write_text(network.read_text() + "\n")
    seen.append(digest())
    assert len(set(seen)) == len(seen)
    assert digest() == seen[-1]
