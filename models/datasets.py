"""The zoo's data sets, read from the Python packages that carry them.

The files are found without importing the packages (aeon compiles numba code when it is imported) and parsed here.
Train and test sets are split as their authors ship them; scikit-learn ships digits unsplit, so the split is the first
1,437 and last 360 images, the order in which the writers were recorded: no writer of the test part is trained on.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.errors import DatasetError

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
_DIGITS_TRAIN = 1437


@dataclass(frozen=True, slots=True)
class Split:
    """Cases and their classes: ``x`` float32 (cases, height, width, channels), ``y`` int64 (cases,)."""

    x: FloatArray
    y: IntArray


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set in its physical units, ready for a network. ``labels[i]`` is the name of class ``i``."""

    name: str
    labels: tuple[str, ...]
    train: Split
    test: Split

    @property
    def sha256(self) -> str:
        """Digest over the name, the labels and the four arrays (little-endian, row-major, with their shapes)."""
        digest = hashlib.sha256(f"{self.name}\n{','.join(self.labels)}\n".encode())
        for array in (self.train.x, self.train.y, self.test.x, self.test.y):
            digest.update(f"{array.shape}".encode())
            digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()


Padding = Literal["none", "zeros"]


def load_dataset(source: str, *, steps: int, padding: Padding = "none") -> Dataset:
    """The data set ``source`` names, each series as it is or filled up to ``steps`` with zeros.

    Args:
        source: ``aeon/BasicMotions``, ``aeon/JapaneseVowels`` or ``sklearn/digits``.
        steps: Steps a case must have; for images, rows.
        padding: ``zeros`` appends zeros to shorter series, ``none`` refuses them.

    Raises:
        DatasetError: Unknown source, the package is not installed, its files are garbled, or a series is too long.
    """
    if source not in _SOURCES:
        raise DatasetError(f"no data set is called {source!r}", hint=f"known: {', '.join(sorted(_SOURCES))}")
    return _SOURCES[source](source, steps, padding)


def parse_ts(text: str, name: str) -> tuple[list[FloatArray], list[str], tuple[str, ...]]:
    """Parse the ``.ts`` format of the UEA archive (Bagnall et al., 2018) → (cases, their labels, all labels).

    A case is one line: dimensions separated by colons, the values of one by commas, then the label. The result's
    cases have shape (steps, dimensions).

    Raises:
        DatasetError: The text is not of that format, or a value is missing or not finite.
    """
    header, _, body = text.partition("@data")
    if not body:
        raise DatasetError(f"{name}: has no @data section", hint="install the package again: pip install aeon")
    labels = _ts_labels(header, name)
    cases: list[FloatArray] = []
    names: list[str] = []
    for line in filter(None, map(str.strip, body.splitlines())):
        *dimensions, label = line.split(":")
        if label not in labels:
            raise DatasetError(f"{name}: case {len(cases)} has the unknown label {label!r}")
        cases.append(_ts_case(dimensions, name, len(cases)))
        names.append(label)
    return cases, names, labels


def _ts_labels(header: str, name: str) -> tuple[str, ...]:
    for line in header.splitlines():
        words = line.split()
        if words and words[0].lower() == "@classlabel" and words[1:2] == ["true"]:
            return tuple(words[2:])
    raise DatasetError(f"{name}: declares no class labels")


def _ts_case(dimensions: Sequence[str], name: str, index: int) -> FloatArray:
    try:
        case = np.array([[float(value) for value in dimension.split(",")] for dimension in dimensions], np.float32)
    except ValueError as error:
        raise DatasetError(f"{name}: case {index} is garbled: {error}") from error
    if case.ndim != 2 or case.size == 0 or not np.isfinite(case).all():
        raise DatasetError(f"{name}: case {index} misses values")
    return np.ascontiguousarray(case.T)


def _package_file(package: str, path: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DatasetError(f"the Python package {package!r} is not installed", hint="pip install 'flota[optimize]'")
    file = Path(spec.submodule_search_locations[0]) / path
    if not file.is_file():
        raise DatasetError(f"{package} carries no {path}", hint="install the locked versions: requirements.lock")
    return file


def _series(source: str, steps: int, padding: Padding) -> Dataset:
    problem = source.removeprefix("aeon/")
    parts: list[Split] = []
    labels: tuple[str, ...] = ()
    for part in ("TRAIN", "TEST"):
        file = _package_file("aeon", f"datasets/data/{problem}/{problem}_{part}.ts")
        cases, names, labels = parse_ts(file.read_text(encoding="utf-8"), file.name)
        x = np.stack([_fit(case, steps, padding, file.name) for case in cases])[:, :, np.newaxis, :]
        parts.append(Split(x, np.array([labels.index(name) for name in names], np.int64)))
    return Dataset(source, labels, *parts)


def _fit(case: FloatArray, steps: int, padding: Padding, name: str) -> FloatArray:
    missing = steps - len(case)
    if missing < 0 or (missing > 0 and padding == "none"):
        raise DatasetError(f"{name}: a series has {len(case)} steps, the recipe says {steps}")
    return np.pad(case, ((0, missing), (0, 0)))


def _digits(source: str, steps: int, padding: Padding) -> Dataset:
    file = _package_file("sklearn", "datasets/data/digits.csv.gz")
    try:
        with gzip.open(file, "rt", encoding="ascii") as stream:
            table = np.loadtxt(stream, delimiter=",", dtype=np.float32)
    except (OSError, EOFError, ValueError) as error:
        raise DatasetError(f"{file.name}: {error}", hint="install scikit-learn again") from error
    side = math.isqrt(table.shape[1] - 1)
    if side != steps:
        raise DatasetError(f"{file.name}: images have {side} rows, the recipe says {steps}")
    x = table[:, :-1].reshape(-1, side, side, 1)
    y = table[:, -1].astype(np.int64)
    train, test = Split(x[:_DIGITS_TRAIN], y[:_DIGITS_TRAIN]), Split(x[_DIGITS_TRAIN:], y[_DIGITS_TRAIN:])
    return Dataset(source, tuple(str(digit) for digit in range(10)), train, test)


def hold_out(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    """Split a training set into (training, validation), ``share`` of every class held out, chosen by ``seed``."""
    random = np.random.default_rng(seed)
    held: list[int] = []
    for label in np.unique(split.y):
        members = random.permutation(np.flatnonzero(split.y == label))
        held.extend(members[: round(len(members) * share)].tolist())
    mask = np.zeros(len(split.y), bool)
    mask[held] = True
    return Split(split.x[~mask], split.y[~mask]), Split(split.x[mask], split.y[mask])


_SOURCES: Mapping[str, Callable[[str, int, Padding], Dataset]] = {
    "aeon/BasicMotions": _series,
    "aeon/JapaneseVowels": _series,
    "sklearn/digits": _digits,
}
