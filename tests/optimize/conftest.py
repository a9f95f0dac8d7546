from __future__ import annotations

from pathlib import Path

import pytest

import models
import optimize


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("optimize") / "workspace"


@pytest.fixture(scope="session")
def optimized(workspace: Path) -> optimize.OptimizeResult:
    """`motion` 1.1.0, trained as its recipe says and optimized for every target."""
    models.train("motion", "1.1.0", workspace)
    return optimize.run("motion", "1.1.0", workspace)
