"""Model cards: the measured table in each README, written from what training and optimizing left in a workspace.

python -m models.cards motion vowels digits --workspace .flota
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from flota.bundle import parse_version
from flota.files import write_atomic
from flota.workspace import DEFAULT_WORKSPACE, TestResult, Workspace
from models.errors import ModelsError
from models.recipe import ZOO, available_models, load_recipe

CARD_FILE = "README.md"
BEGIN = "<!-- measured: python -m models.cards -->\n"
END = "<!-- end of measured -->\n"
_HEADER = (
    "| version | float accuracy | int8 accuracy on TFLM (95 % interval) | int8 on LiteRT | multiply-accumulates "
    "| .tflite bytes | TFLM arena bytes |\n| --- | --- | --- | --- | --- | --- | --- |\n"
)


class CardBroken(ModelsError):
    """A model card has no place for its measured table."""

    code = "models.card"


def measured_table(name: str, workspace: Workspace) -> str:
    """The table of every version of ``name``, from the evaluations in ``workspace``.

    Raises:
        WorkspaceError: A version is not trained and optimized there.
    """
    rows = []
    for version in sorted(load_recipe(name).versions, key=parse_version):
        of = workspace.evaluation(name, version)
        interval = f"{of.tflm.low:.1%} to {of.tflm.high:.1%}"
        cells = (
            version,
            _share(of.float_result),
            f"{_share(of.tflm)} ({interval})",
            _share(of.litert),
            f"{of.macs:,}",
            f"{of.int8_bytes:,}",
            f"{of.tflm_arena_bytes:,}",
        )
        rows.append(f"| {' | '.join(cells)} |\n")
    return _HEADER + "".join(rows)


def _share(result: TestResult) -> str:
    return f"{result.accuracy:.1%} of {result.count}"


def replace_measured(card: str, table: str) -> str:
    """``card`` with its measured table replaced.

    Raises:
        CardBroken: The markers are not there, once each and in order.
    """
    before, begin, rest = card.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise CardBroken(
            "the card has no measured section", hint=f"it stands between {BEGIN.strip()} and {END.strip()}"
        )
    return f"{before}{BEGIN}{table}{END}{after}"


def main(arguments: Sequence[str]) -> None:
    """Rewrite the cards of the models named, or of all."""
    parser = ArgumentParser(prog="python -m models.cards", description="Write measured values into model cards.")
    parser.add_argument("names", nargs="*", default=available_models())
    parser.add_argument("--workspace", type=Path, default=DEFAULT_WORKSPACE)
    options = parser.parse_args(arguments)
    for name in options.names:
        card = ZOO / name / CARD_FILE
        text = replace_measured(card.read_text(encoding="utf-8"), measured_table(name, Workspace(options.workspace)))
        write_atomic(card, text.encode())


if __name__ == "__main__":
    main(sys.argv[1:])
