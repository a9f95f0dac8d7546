from __future__ import annotations

from pathlib import Path

import pytest

from flota.workspace import Workspace, WorkspaceError
from models.cards import BEGIN, CARD_FILE, END, CardBroken, measured_table, replace_measured
from models.recipe import ZOO, available_models, load_recipe


@pytest.mark.parametrize("name", available_models())
def test_every_card_holds_a_measured_row_for_every_version(name: str) -> None:
    card = (ZOO / name / CARD_FILE).read_text()
    table = card.partition(BEGIN)[2].partition(END)[0]
    for version in load_recipe(name).versions:
        assert f"| {version} | " in table


def test_only_the_measured_section_is_replaced() -> None:
    card = f"above\n{BEGIN}old\n{END}below\n"
    once = replace_measured(card, "new\n")
    assert once == f"above\n{BEGIN}new\n{END}below\n"
    assert replace_measured(once, "new\n") == once


@pytest.mark.parametrize("card", ["", BEGIN, END, END + BEGIN])
def test_a_card_without_a_place_is_refused(card: str) -> None:
    with pytest.raises(CardBroken):
        replace_measured(card, "new\n")


def test_without_an_evaluation_the_command_to_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError) as caught:
        measured_table("digits", Workspace(tmp_path))
    assert "flota optimize digits --version 1.0.0" in caught.value.hint
