from __future__ import annotations

import numpy as np
import pytest

from flota.keras_backend import load_keras
from models.datasets import Split, load_dataset
from models.errors import InvalidRecipe
from models.preparation import Normalization, augment, fold
from models.recipe import Augmentation, load_recipe
from models.training import build_network


def test_normalized_channels_have_no_mean_and_unit_spread() -> None:
    x = np.random.default_rng(1).normal(3.0, 7.0, (50, 10, 1, 4)).astype(np.float32)
    x[..., 3] = 2.5  # a channel that never changes
    normal = Normalization.of(x).apply(x)
    assert np.allclose(normal.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    assert np.allclose(normal.std(axis=(0, 1, 2)), [1, 1, 1, 0], atol=1e-5)


def test_changed_copies_come_behind_the_originals_and_follow_the_seed() -> None:
    split = Split(np.random.default_rng(1).normal(size=(6, 20, 1, 2)).astype(np.float32), np.arange(6))
    how = Augmentation(copies=2, noise=0.1, scale=0.1, shift=5)
    first, again, other = augment(split, how, 1), augment(split, how, 1), augment(split, how, 2)
    assert first.x.shape == (18, 20, 1, 2)
    assert first.y.tolist() == [0, 1, 2, 3, 4, 5] * 3
    assert np.array_equal(first.x[:6], split.x)
    assert np.array_equal(first.x, again.x)
    assert not np.array_equal(first.x, other.x)


def test_without_copies_nothing_is_added() -> None:
    split = Split(np.ones((2, 3, 1, 1), np.float32), np.arange(2))
    assert augment(split, Augmentation(), 1).x.shape == split.x.shape


@pytest.mark.parametrize(
    ("name", "version"), [("motion", "1.0.0"), ("motion", "1.1.0"), ("vowels", None), ("digits", None)]
)
def test_a_folded_network_gives_the_same_from_physical_units(name: str, version: str | None) -> None:
    keras = load_keras()
    keras.utils.set_random_seed(5)
    recipe = load_recipe(name)
    data = load_dataset(recipe.data.source, steps=recipe.data.steps, padding=recipe.data.padding)
    model = build_network(name, recipe.version(version)[1], data)
    normalization = Normalization.of(data.train.x)
    cases = data.test.x[:32]
    expected = np.asarray(model(normalization.apply(cases), training=False))
    fold(model, normalization)
    assert np.allclose(np.asarray(model(cases, training=False)), expected, atol=1e-4)


def test_a_padded_first_layer_cannot_be_folded_and_is_refused() -> None:
    keras = load_keras()
    inputs = keras.Input((8, 1, 2))
    model = keras.Model(inputs, keras.layers.Conv2D(2, (3, 1), padding="same")(inputs))
    with pytest.raises(InvalidRecipe, match="unpadded"):
        fold(model, Normalization(np.zeros(2), np.ones(2)))
