from __future__ import annotations

import numpy as np
import pytest

from models import datasets
from models.datasets import Split, hold_out, load_dataset, parse_ts
from models.errors import DatasetError

HEADER = "@problemName tiny\n@dimensions 2\n@classLabel true left right\n@data\n"


@pytest.mark.parametrize(
    ("source", "steps", "padding", "shape", "counts", "digest"),
    [
        (
            "aeon/BasicMotions",
            100,
            "none",
            (100, 1, 6),
            (40, 40),
            "add2c2a7bebe6627bd105e4933d8d5df0b900d3de297dd97a6f603a5ed539330",
        ),
        (
            "aeon/JapaneseVowels",
            29,
            "zeros",
            (29, 1, 12),
            (270, 370),
            "695d2fb4a0ac032aec15b6b1a92847e450542f6bd158b5115655930036050087",
        ),
        (
            "sklearn/digits",
            8,
            "none",
            (8, 8, 1),
            (1437, 360),
            "6ee33d7f9a3fdaf8945a6d86d672a018fca955da5f094c4d4b566dd638e0b215",
        ),
    ],
)
def test_the_data_is_the_one_the_recipes_were_written_for(
    source: str, steps: int, padding: datasets.Padding, shape: tuple[int, ...], counts: tuple[int, int], digest: str
) -> None:
    data = load_dataset(source, steps=steps, padding=padding)
    assert data.train.x.shape == (counts[0], *shape)
    assert data.test.x.shape == (counts[1], *shape)
    assert data.train.x.dtype == np.float32
    assert set(data.train.y.tolist()) == set(range(len(data.labels))) == set(data.test.y.tolist())
    assert data.sha256 == digest


def test_series_are_what_aeon_itself_reads() -> None:
    text = datasets._package_file("aeon", "datasets/data/BasicMotions/BasicMotions_TRAIN.ts").read_text()
    first = text.partition("@data\n")[2].splitlines()[0].split(":")
    data = load_dataset("aeon/BasicMotions", steps=100)
    assert data.train.x[0, 0, 0, 0] == np.float32(first[0].split(",")[0])
    assert data.train.x[0, 99, 0, 5] == np.float32(first[5].split(",")[99])
    assert data.labels[data.train.y[0]] == first[6]


def test_short_series_are_filled_up_with_zeros() -> None:
    data = load_dataset("aeon/JapaneseVowels", steps=29, padding="zeros")
    assert not data.train.x[:, 26:].any()  # the longest of the training set has 26 frames
    assert data.test.x[:, 26:].any()
    with pytest.raises(DatasetError, match="the recipe says 29"):
        load_dataset("aeon/JapaneseVowels", steps=29)


def test_a_series_longer_than_the_recipe_says_is_refused() -> None:
    with pytest.raises(DatasetError, match="100 steps"):
        load_dataset("aeon/BasicMotions", steps=99, padding="zeros")


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(DatasetError, match="8 rows"):
        load_dataset("sklearn/digits", steps=28)


def test_unknown_data_set_lists_the_known_ones() -> None:
    with pytest.raises(DatasetError) as caught:
        load_dataset("aeon/Nothing", steps=1)
    assert "sklearn/digits" in caught.value.hint


def test_a_package_without_the_file_is_named() -> None:
    with pytest.raises(DatasetError, match="carries no"):
        datasets._package_file("aeon", "nothing.ts")
    with pytest.raises(DatasetError, match="not installed"):
        datasets._package_file("no_such_package", "nothing.ts")


def test_ts_cases_become_steps_by_dimensions() -> None:
    cases, names, labels = parse_ts(HEADER + "1,2,3:4,5,6:right\n7:8:left\n", "tiny.ts")
    assert labels == ("left", "right")
    assert names == ["right", "left"]
    assert cases[0].tolist() == [[1, 4], [2, 5], [3, 6]]
    assert cases[1].shape == (1, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@classLabel true a\n", "no @data"),
        ("@data\n1:a\n", "no class labels"),
        (HEADER + "1,2:3,4:up\n", "unknown label 'up'"),
        (HEADER + "1,2:3:left\n", "garbled"),
        (HEADER + "1,x:3,4:left\n", "garbled"),
        (HEADER + "1,nan:3,4:left\n", "misses values"),
        (HEADER + "left\n", "misses values"),
    ],
)
def test_garbled_ts_files_are_refused(text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        parse_ts(text, "tiny.ts")


def test_the_digest_sees_every_part() -> None:
    split = Split(np.zeros((2, 1, 1, 1), np.float32), np.array([0, 1]))
    data = datasets.Dataset("d", ("a", "b"), split, split)
    other = Split(split.x.copy(), split.y)
    other.x[1] = 1
    digests = {
        data.sha256,
        datasets.Dataset("e", ("a", "b"), split, split).sha256,
        datasets.Dataset("d", ("b", "a"), split, split).sha256,
        datasets.Dataset("d", ("a", "b"), other, split).sha256,
        datasets.Dataset("d", ("a", "b"), split, other).sha256,
    }
    assert len(digests) == 5


def test_held_out_cases_are_spread_over_the_classes_and_gone_from_the_rest() -> None:
    whole = Split(np.arange(100, dtype=np.float32).reshape(100, 1, 1, 1), np.repeat(np.arange(5), 20))
    kept, held = hold_out(whole, 0.2, seed=3)
    assert np.bincount(held.y).tolist() == [4] * 5
    assert sorted([*kept.x.ravel(), *held.x.ravel()]) == list(range(100))
    again = hold_out(whole, 0.2, seed=3)[1]
    other = hold_out(whole, 0.2, seed=4)[1]
    assert np.array_equal(held.x, again.x)
    assert not np.array_equal(held.x, other.x)
