"""The documents name files and commands that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from flota import cli

REPOSITORY = Path(__file__).parent.parent
FOLDERS = ("flota", "models", "optimize", "firmware", "device_agent", "fleet_server", "hil", "benchmarks", "tests")
PARTS = ("optimize", "firmware", "device_agent", "fleet_server", "hil")
DOCUMENTS = [
    *sorted(REPOSITORY.glob("*.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
    *(path for folder in FOLDERS for path in sorted((REPOSITORY / folder).rglob("*.md"))),
]
GENERATED = {"flota/wire.h"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_file_it_names_is_there(document: Path) -> None:
    text = document.read_text("utf-8")
    named = set(re.findall(r"`([\w.-]+(?:/[\w.-]+)*(?:\.(?:py|c|h|md|toml|ld|txt|service)|/))`", text))
    linked = set(re.findall(r"\]\(([\w./-]+)(?:#[\w-]+)?\)", text))
    roots = (document.parent, REPOSITORY, REPOSITORY / "models" / "motion")
    missing = {
        name
        for name in (named | linked) - GENERATED
        if not name.startswith(".") and not name.startswith("docs/images/")
        if not any((root / name).exists() for root in roots)
    }
    assert not missing, f"{document.relative_to(REPOSITORY)} names what is not there: {sorted(missing)}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_command_it_shows_has_those_options(document: Path) -> None:
    group: Any = typer.main.get_command(cli.app)
    for line in re.findall(r"(?:^|[`&] ?)flota ([a-z][^`#&|>\n]*)", document.read_text("utf-8"), re.MULTILINE):
        command, words = group, line.replace("[", " ").replace("]", " ").split()
        while words and (get := getattr(command, "get_command", None)):
            command = get(None, words[0])
            assert command is not None, f"flota {line}: there is no command {words[0]}"
            words = words[1:]
        known = {option for parameter in command.params for option in (*parameter.opts, "--help")}
        unknown = {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)} - known
        assert not unknown, f"flota {line}: no option {sorted(unknown)}"


@pytest.mark.parametrize("part", PARTS)
def test_a_part_has_a_readme_that_names_its_files(part: str) -> None:
    text = (REPOSITORY / part / "README.md").read_text("utf-8")
    if part == "firmware":
        return
    modules = [path.relative_to(REPOSITORY / part) for path in sorted((REPOSITORY / part).rglob("*.py"))]
    unnamed = [
        str(module)
        for module in modules
        if module.name not in ("__init__.py", "errors.py")
        and not any(f"{parent}/`" in text for parent in module.parents)
        and str(module) not in text
    ]
    assert not unnamed, f"{part}/README.md does not say what {unnamed} are for"


def test_the_specification_is_what_the_code_says() -> None:
    command = [sys.executable, "scripts/spec.py", "--check"]
    stale = subprocess.run(command, cwd=REPOSITORY, check=False).returncode
    assert not stale, "run: .venv/bin/python scripts/spec.py"
