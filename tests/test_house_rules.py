"""The rules of the house (ARCHITECTURE.md): which folder may import which, and what an import may pull in."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
PARTS = ("models", "optimize", "device_agent", "fleet_server", "hil")
OURS = {"flota", *PARTS}
HEAVY = {"tensorflow", "keras", "fastapi", "starlette", "nicegui", "sqlmodel", "sklearn", "aeon", "numba"}


def _imports(tree: ast.AST) -> set[str]:
    """Top-level packages that the nodes below ``tree`` import, wherever they stand."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


def _module_level(tree: ast.Module) -> ast.Module:
    """The module without the bodies of its functions and what only type checkers read: what runs on import."""

    class _DropBodies(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.If | None:
            return None if ast.unparse(node.test) == "TYPE_CHECKING" else node

        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
            return None

    return _DropBodies().visit(tree)


def _sources(folder: str) -> list[Path]:
    return sorted((REPOSITORY / folder).rglob("*.py"))


@pytest.mark.parametrize("part", PARTS)
def test_parts_import_only_flota(part: str) -> None:
    assert _sources(part)
    for path in _sources(part):
        others = (_imports(ast.parse(path.read_text())) & OURS) - {part, "flota"}
        assert not others, f"{path.relative_to(REPOSITORY)} imports {others}; parts meet only through flota/"


def test_flota_imports_no_part_when_it_is_loaded() -> None:
    for path in _sources("flota"):
        loaded = _imports(_module_level(ast.parse(path.read_text()))) & set(PARTS)
        assert not loaded, f"{path.relative_to(REPOSITORY)} loads {loaded} at import"


def test_only_the_command_line_and_the_demo_of_flota_know_the_parts() -> None:
    for path in _sources("flota"):
        if path.is_relative_to(REPOSITORY / "flota" / "cli"):
            continue
        others = _imports(ast.parse(path.read_text())) & set(PARTS)
        assert not others, f"{path.relative_to(REPOSITORY)} imports {others}"


@pytest.mark.parametrize("module", ["device_agent", "device_agent.main", "flota.cli", "flota.trust.client"])
def test_a_device_never_loads_the_workshop(module: str) -> None:
    listing = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import {module}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    ).stderr
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in listing.splitlines()}
    assert not loaded & HEAVY


def test_every_top_level_folder_stands_in_the_architecture() -> None:
    text = (REPOSITORY / "ARCHITECTURE.md").read_text()
    for folder in (*PARTS, "flota", "firmware", "benchmarks", "tests"):
        assert f"`{folder}/`" in text


def test_every_test_module_has_a_name_of_its_own() -> None:
    names = [path.name for path in (REPOSITORY / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert len(names) == len(set(names)), "pytest, without packages, keeps one module a name"
