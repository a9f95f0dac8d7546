"""Options of the whole test suite. It is here and not in tests/, whose folders must not shadow our packages."""

from __future__ import annotations

import pytest
from hypothesis import settings

# How long a test may take is pytest-timeout's business: a busy machine must not fail a property.
settings.register_profile("flota", deadline=None)
settings.load_profile("flota")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch that golden-file tests look at."""
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files of generated text")
