"""The README's table of operators is what the code supports, and every refused operator has a way out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from optimize.compiler.operators import RULES
from optimize.compiler.operators.hints import HINTS, IN_THE_INTERPRETER, TARGETS, TFLM_TARGETS, way_out
from optimize.compiler.operators.table import NOTES, supported_operators
from optimize.compiler.recurrent import RECURRENT
from optimize.compiler.schema import OPERATOR_NAMES
from optimize.compiler.variables import VARIABLE_OPERATORS

README = Path(__file__).resolve().parents[3] / "optimize/README.md"
TABLE = re.compile(r"(?<=<!-- operators: generated -->\n).*?(?=<!-- operators: end -->)", re.DOTALL)


def test_the_readme_shows_what_the_code_supports(request: pytest.FixtureRequest) -> None:
    text = README.read_text("utf-8")
    if request.config.getoption("--update-golden"):
        README.write_text(TABLE.sub(lambda _: supported_operators(), text), "utf-8")
        return
    found = TABLE.search(text)
    assert found is not None
    assert found.group() == supported_operators(), "run: pytest <this file> --update-golden"


def test_notes_and_hints_name_operators_of_the_schema_on_the_right_side() -> None:
    assert set(NOTES) <= set(RULES)
    assert set(HINTS) | IN_THE_INTERPRETER <= set(OPERATOR_NAMES) - set(RULES) - RECURRENT - VARIABLE_OPERATORS


def test_every_operator_without_code_has_a_way_out() -> None:
    for name in ("CUSTOM 'X'", *OPERATOR_NAMES):
        target = TFLM_TARGETS if name in IN_THE_INTERPRETER else TARGETS
        assert way_out(name, tuple(sorted(RULES))).endswith(target)
