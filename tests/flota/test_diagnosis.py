"""What ``flota doctor`` looks for, against what the distribution declares."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from flota.diagnosis import diagnose

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
PACKAGES = [(finding.name, finding.install) for finding in diagnose() if finding.install.startswith("pip ")]


@pytest.mark.parametrize(("package", "install"), PACKAGES)
def test_the_named_extra_really_brings_the_package(package: str, install: str) -> None:
    extra = install.partition("[")[2].partition("]")[0]
    declared = {re.split(r"[<>=; ]", line)[0] for line in PROJECT["optional-dependencies"][extra]}
    assert package in declared
